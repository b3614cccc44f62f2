// What a row of groups expects, and what was seen of it.

// What our device says of a datagram that it drops, in the words of the table
const OUR_REASONS = {
    "replayed group message": "replay",
    "message is not authentic": "not authentic",
    "group message that is not for this node": "not for it",
    "group message under an unknown key": "not for it",
};
const INVOKE_REQUEST = "8";
const SHARED_ADDRESS = "ff05::fa";

/**
 * @param sent     for each message that was sent its group and the name of its key, "1:a"
 * @param heard    the group of each message that the receiver handed up
 * @param dropped  why the receiver dropped the others
 * @param hidden   whether every header was hidden
 * @param shared   whether the messages were for the multicast address that all groups share
 * @param asked    whether the receiver asked for the sender's counter; `answered` whether it got it
 */
export function describeGroups({ sent, heard, dropped = [], hidden, shared, asked, answered }) {
    return [
        `sent ${sent.join(", ") || "nothing"}`,
        `heard ${heard.join(", ") || "nothing"}`,
        ...(dropped.length > 0 ? [`dropped ${dropped.join(", ")}`] : []),
        ...(hidden ? ["headers hidden"] : []),
        ...(shared ? ["shared address"] : []),
        ...(asked ? ["asked for the counter"] : []),
        ...(answered ? ["was told it"] : []),
    ];
}

/** "HEARD group=1 payload=00" -> { group: "1", payload: "00" } */
const parse = (lines, start) =>
    lines
        .filter(line => line.startsWith(`${start} `))
        .map(line => Object.fromEntries(line.split(" ").map(field => field.split("="))));

const reasons = lines =>
    lines
        .map(line => /^DROPPED a datagram(?: of \S+)?: (.*)$/.exec(line)?.[1])
        .filter(reason => reason !== undefined)
        .map(reason => OUR_REASONS[reason] ?? reason);

export function observeGroups({ sender, receiver, wire, keyNames, source }) {
    const datagrams = wire.record.filter(({ kind, from }) => kind === "Group" && from === "initiator");
    const first = datagrams.filter(({ repeated }) => !repeated);
    const sent = parse(sender, "SENT");
    const heard = parse(receiver, "HEARD");
    const control = from => wire.record.some(datagram => datagram.kind === "GroupControl" && datagram.from === from);
    const places = placesAmong(sent, heard);
    return {
        groups: {
            sent: first.map(({ sessionId }, i) => `${sent[i]?.group}:${keyNames.get(sessionId) ?? "unknown key"}`),
            heard: heard.map(({ group }) => group),
            dropped: reasons(receiver),
            hidden: datagrams.length > 0 && datagrams.every(({ hidden }) => hidden),
            shared: sent.length > 0 && sent.every(({ address }) => ipv6(address) === SHARED_ADDRESS),
            asked: control("responder"),
            answered: control("initiator"),
        },
        problems: [
            ...(sent.length === first.length ? [] : [`${sent.length} messages sent in ${first.length} datagrams`]),
            ...heard.flatMap((message, i) => unlikeWhatWasSent(message, places[i], source)),
            ...countersThatDoNotRise(heard, places),
            ...countersNotOnWire(heard, datagrams),
            ...differentAddresses(sent, parse(receiver, "MEMBER")),
        ],
    };
}

/** For each message heard its place among those sent, none twice; -1 if it was not sent, or heard more often. */
function placesAmong(sent, heard) {
    const left = sent.map(({ group, payload }) => `${group} ${payload}`);
    return heard.map(({ group, payload }) => {
        const place = left.indexOf(`${group} ${payload}`);
        if (place >= 0) left[place] = undefined;
        return place;
    });
}

const unlikeWhatWasSent = ({ group, payload, source, opcode }, place, sender) => [
    ...(place >= 0 ? [] : [`heard ${payload} in group ${group}, which was not sent`]),
    ...(source === sender ? [] : [`heard a message of ${source}`]),
    ...(opcode === INVOKE_REQUEST ? [] : [`heard opcode ${opcode}`]),
];

/** In the order in which messages were sent, over restarts of the sender too. */
function countersThatDoNotRise(heard, places) {
    const inOrder = heard.map(({ counter }, i) => [places[i], Number(counter)]).sort(([a], [b]) => a - b);
    const counters = inOrder.map(([, counter]) => counter);
    const rise = counters.every((counter, i) => i === 0 || counter > counters[i - 1]);
    return rise ? [] : [`counters ${counters.join(", ")}`];
}

function countersNotOnWire(heard, datagrams) {
    if (datagrams.some(({ hidden }) => hidden)) return [];
    const onWire = new Set(datagrams.map(({ counter }) => String(counter)));
    const strangers = heard.map(({ counter }) => counter).filter(counter => !onWire.has(counter));
    return strangers.map(counter => `counter ${counter} was not on the wire`);
}

/** Both sides compute the multicast address of a group. */
function differentAddresses(sent, members) {
    return members.flatMap(({ group, address }) => {
        const to = sent.find(message => message.group === group)?.address;
        return to === undefined || ipv6(to) === ipv6(address) ? [] : [`group ${group} has addresses ${to}, ${address}`];
    });
}

/** Of "[ff35::1]:5540", and of "ff35::1" as well. */
const ipv6 = text => /^\[(.*)\]:5540$/.exec(text)?.[1] ?? text;

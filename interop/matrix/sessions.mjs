// SESSION lines of both programs, and whether they speak of the same sessions.

/** "SESSION kind=case local=1 peer=2 attestation=.. cats=..", other lines are not looked at. */
export function parseSessions(lines) {
    return lines
        .filter(line => line.startsWith("SESSION "))
        .map(line => Object.fromEntries(line.split(/\s+/).slice(1).map(field => field.split("="))))
        .map(({ kind, local, peer, attestation, cats }) => ({
            kind,
            local: Number(local),
            peer: Number(peer),
            attestation: attestation?.toLowerCase(),
            cats,
        }));
}

/** What the two sides disagree on; empty when nothing. */
export function disagreements(initiator, responder) {
    if (initiator.length !== responder.length) {
        return [`initiator has ${initiator.length} sessions, responder ${responder.length}`];
    }
    return initiator.flatMap((mine, i) => {
        const theirs = responder[i];
        const pairs = [
            ["kind", mine.kind, theirs.kind],
            ["initiator's session id", mine.local, theirs.peer],
            ["responder's session id", mine.peer, theirs.local],
            ["attestation challenge", mine.attestation, theirs.attestation],
        ];
        return pairs
            .filter(([, one, other]) => one !== other || one === undefined || Number.isNaN(one))
            .map(([what, one, other]) => `session ${i + 1}: ${what} ${one} / ${other}`)
            .concat(/^[0-9a-f]{32}$/.test(mine.attestation) ? [] : [`session ${i + 1}: attestation challenge is not 16 octets`]);
    });
}

/** Whether a program closed its first session before it had another. */
export function hasEndedBeforeNext(lines) {
    const [first] = parseSessions(lines);
    const facts = lines.filter(line => /^(SESSION|CLOSED) /.test(line));
    return first !== undefined && /^CLOSED local=(\d+)( Disconnected)?$/.exec(facts[1] ?? "")?.[1] === String(first.local);
}

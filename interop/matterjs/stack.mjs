// The smallest matter.js stack that speaks the Matter message layer:
// UDP socket or TCP connections -> UdpTransport or TcpTransport -> ExchangeManager -> SessionManager (+ FabricManager).
// Public matter.js exports only; all storage in memory, no mDNS, no data model.
import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import {
    Bytes,
    Crypto,
    Environment,
    Lifetime,
    LogFormat,
    Logger,
    LogLevel,
    MemoryStorageDriver,
    StorageContext,
    TransportSet,
    UdpTransport,
} from "@matter/general";
import { NodeJsNetwork } from "@matter/nodejs";
import { ExchangeManager, Fabric, FabricManager, SessionManager, TcpTransport } from "@matter/protocol";

export const hex = bytes => Bytes.toHex(bytes).toLowerCase();
export const unhex = text => Bytes.of(Bytes.fromHex(text));

/** The echo protocol, once of a vendor and once without a vendor id in the header. */
export const ECHO_PROTOCOLS = [0xfff10001, 0x00f1];

/** What TcpTransport takes by default: it counts the prefix of 4 bytes to its limit of 64000. */
const MAX_TCP_MESSAGE = 63_996;

/** What a storage driver keeps the facts of the session manager under. */
export const SESSION_STORAGE = ["sessions"];

/** `--name value` and bare `--flag` (-> true); anything else goes to `_`. */
export function parseArgs(argv = process.argv.slice(2)) {
    const args = { _: [] };
    for (let i = 0; i < argv.length; i++) {
        if (!argv[i].startsWith("--")) {
            args._.push(argv[i]);
        } else if (argv[i + 1] !== undefined && !argv[i + 1].startsWith("--")) {
            args[argv[i].slice(2)] = argv[++i];
        } else {
            args[argv[i].slice(2)] = true;
        }
    }
    return args;
}

/** Whether a module was started as a program, not imported. */
export const isMain = ({ url }) => url === pathToFileURL(process.argv[1]).href;

/** "127.0.0.1:5540" or "[::1]:5540" */
export function parseAddress(text) {
    const colon = text.lastIndexOf(":");
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

/** A payload to be echoed. No two blocks of 256 bytes are equal up to 64 kB. */
export const echoPayload = size => new Uint8Array(size).map((_, index) => index ^ (index >> 8));

/** The line on a message that was handed up, as our own programs print it. */
export function sayMessage(what, protocol, opcode, payload) {
    const digest = createHash("sha256").update(payload).digest("hex");
    say(`${what} protocol=0x${protocol.toString(16)} opcode=${opcode} size=${payload.byteLength} sha256=${digest}`);
}

/** A line of our own on stdout; returns undefined because a matter.js Observable stops at the first returned value. */
export const say = line => void process.stdout.write(`${line}\n`);

/** matter.js logs to stdout by default; stdout is for the lines that the matrix reads. */
export function logToStderr(level = "debug") {
    Logger.format = LogFormat.PLAIN;
    Logger.destinations.default.write = text => process.stderr.write(`${text}\n`);
    Logger.level = LogLevel[level.toUpperCase()];
}

/**
 * @param port    of a responder; the system chooses that of an initiator
 * @param tcp     speaks TCP instead of UDP
 * @param driver  where matter.js keeps what survives a restart: its counter of group messages
 */
export async function makeStack({ host, port, tcp, fabrics: fabricConfigs = [], driver = MemoryStorageDriver.create() }) {
    const crypto = Environment.default.get(Crypto);
    const fabrics = new FabricManager(crypto);
    await fabrics.construction;
    for (const config of fabricConfigs) {
        fabrics.addFabric(await Fabric.create(crypto, config));
    }

    const storage = new StorageContext(driver, SESSION_STORAGE);
    const sessions = new SessionManager({ fabrics, storage });
    await sessions.construction;

    if (tcp) {
        sessions.sessionParameters = {
            supportedTransports: { tcpClient: true, tcpServer: true },
            maxTcpMessageSize: MAX_TCP_MESSAGE,
        };
    }
    const transport = await (tcp ? tcpTransport : udpTransport)(host, port);
    const transports = new TransportSet();
    const exchanges = new ExchangeManager({ lifetime: Lifetime("interop"), entropy: crypto, transports, sessions });
    transports.add(transport);

    const stack = { crypto, fabrics, sessions, exchanges, transports, transport, lost: 0 };
    // Connections that have ended, by either side
    if (tcp) transport.onDisconnect(() => void stack.lost++);
    return stack;
}

async function udpTransport(host, port) {
    const socket = await new NodeJsNetwork().createUdpSocket({
        type: host.includes(":") ? "udp6" : "udp4",
        listeningPort: port,
        listeningAddress: host,
    });
    return new UdpTransport(socket);
}

const tcpTransport = (host, port) =>
    TcpTransport.create({ network: new NodeJsNetwork(), listeningPort: port, listeningAddress: host });

/** Prints the SESSION line of every secure session, as our own programs do, and CLOSED when the peer ends it. */
export function announceSessions(sessions, { bareHeaders = false } = {}) {
    // A NodeSession does not remember how it came about, so note it while it is being made
    const resumed = new Map();
    const create = sessions.createSecureSession.bind(sessions);
    sessions.createSecureSession = options => {
        resumed.set(options.id, options.isResumption);
        return create(options);
    };

    sessions.sessions.added.on(session => {
        if (bareHeaders) omitNodeIds(session);
        const kind = session.isPase ? "pase" : resumed.get(session.id) ? "case-resumed" : "case";
        const cats = session.caseAuthenticatedTags.map(tag => tag.toString(16)).join(",");
        say(
            `SESSION kind=${kind} local=${session.id} peer=${session.peerSessionId} ` +
                `attestation=${hex(session.attestationChallengeKey)}${cats && ` cats=${cats}`}`,
        );
    });
    sessions.sessions.deleted.on(session => say(`CLOSED local=${session.id}`));
}

/** matter.js puts both node ids into secured unicast headers; other stacks put none. This makes it one of those. */
function omitNodeIds(session) {
    const encode = session.encode.bind(session);
    session.encode = message => {
        message.packetHeader.sourceNodeId = message.packetHeader.destNodeId = undefined;
        return encode(message);
    };
}

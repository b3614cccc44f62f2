// A whole matter.js on/off light, commissionable by address: the PASE responder with matter.js's own commissioning
// window, fail-safe and data model behind it. responder.mjs is the light-weight one.
//
//   node device.mjs --listen ADDR:PORT [--passcode N] [--bare-headers]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { announceSessions, logToStderr, parseAddress, parseArgs, say } from "./stack.mjs";

const args = parseArgs();
logToStderr();
const { host, port } = parseAddress(args.listen);

const { Environment } = await import("@matter/general");
const { ServerNode, VendorId } = await import("@matter/main");
const { OnOffLightDevice } = await import("@matter/main/devices/on-off-light");
const { SessionManager } = await import("@matter/main/protocol");

// A throw-away directory: every start is factory-fresh
const storage = mkdtempSync(join(tmpdir(), "matterjs-device-"));
process.on("exit", () => rmSync(storage, { recursive: true, force: true }));
const environment = Environment.default;
environment.vars.set("storage.path", storage);

const node = await ServerNode.create({
    id: "interop-light",
    environment,
    network: {
        port,
        // Both sockets on loopback only
        listeningAddressIpv6: host.includes(":") ? host : "::1",
        listeningAddressIpv4: host.includes(":") ? "127.0.0.1" : host,
        // Without a discovery capability no multicast socket is ever opened
        discoveryCapabilities: { onIpNetwork: false, ble: false },
        tcp: false,
    },
    commissioning: { passcode: Number(args.passcode ?? 20202021), discriminator: 3840 },
    productDescription: { name: "Interop light", deviceType: OnOffLightDevice.deviceType },
    basicInformation: {
        vendorName: "interop",
        vendorId: VendorId(0xfff1),
        productName: "interop light",
        productId: 0x8000,
        serialNumber: "interop-0001",
        uniqueId: "interop0001",
    },
});
await node.add(OnOffLightDevice, { id: "light" });
await node.start();
announceSessions(node.env.get(SessionManager), { bareHeaders: !!args["bare-headers"] });

say(`READY ${args.listen}`);
process.on("SIGTERM", () => process.exit(0));

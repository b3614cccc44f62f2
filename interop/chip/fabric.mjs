// Fabric files for our programs, from credentials that connectedhomeip has issued.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes the file of our node, and returns its path. @param role of our node; the other is connectedhomeip's */
export function writeFabric(directory, role, credentials, groups = []) {
    const { fabricId, rootCertTlv, icacTlv, ipkEpochKey, controllerNodeId, ...own } = credentials;
    const nodes = {
        [role]: own,
        [role === "responder" ? "initiator" : "responder"]: { nodeId: controllerNodeId },
    };
    const fabric = { format: "matter-interop-fabric-1", fabricId, rootCertTlv, icacTlv, ipkEpochKey, nodes, groups };
    const path = join(directory, "fabric.json");
    writeFileSync(path, `${JSON.stringify(fabric, null, 2)}\n`);
    return path;
}

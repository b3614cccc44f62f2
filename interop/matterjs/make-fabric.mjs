// Makes a fabric of two nodes, so that CASE can run without commissioning.
//
//   node make-fabric.mjs [--out fabric.json] [--icac] [--cat 0xABCD0001] [--group N]
//
// The certificates come from matter.js's own CertificateAuthority. All values are lowercase hex; keys are raw
// (private: 32-octet scalar, public: 65-octet uncompressed point). `groups` are those that both nodes are in, each with
// its key set; keys begin at microseconds since 2000. TEST MATERIAL ONLY: private keys are in the file.
import { writeFileSync } from "node:fs";
import { Crypto, Environment } from "@matter/general";
import { CertificateAuthority, Fabric, Rcac } from "@matter/protocol";
import { CaseAuthenticatedTag, FabricId, FabricIndex, NodeId, VendorId } from "@matter/types";
import { hex, isMain, logToStderr, parseArgs, unhex } from "./stack.mjs";

const NODE_IDS = { initiator: "cd5544aa7b13ef14", responder: "0123456789abcdef" };

const id = text => BigInt(`0x${text}`);

/**
 * @param cats   CASE authenticated tags per role, e.g. `{ initiator: [0xABCD0001] }`
 * @param groups `[{ groupId, keySetId, policy, epochKeys, startTimes }]`; policy 0 trusts first, 1 asks for counters
 */
export async function makeFabric({ icac = false, fabricId = "fab000000000001d", cats = {}, groups = [] } = {}) {
    const crypto = Environment.default.get(Crypto);
    const ca = await CertificateAuthority.create(crypto, icac);
    const { config } = ca;
    const json = {
        format: "matter-interop-fabric-1",
        fabricId,
        rootCertTlv: hex(config.rootCertBytes),
        rootPublicKey: hex(Rcac.publicKeyOfTlv(config.rootCertBytes)),
        rootPrivateKey: hex(config.rootKeyPair.privateKey),
        icacTlv: icac ? hex(config.icacCertBytes) : null,
        icacPrivateKey: icac ? hex(config.icacKeyPair.privateKey) : null,
        ipkEpochKey: hex(crypto.randomBytes(16)),
        nodes: {},
        groups,
    };
    for (const [role, nodeId] of Object.entries(NODE_IDS)) {
        const key = await crypto.createKeyPair();
        const tags = cats[role]?.map(tag => CaseAuthenticatedTag(tag));
        const noc = await ca.generateNoc(key.publicKey, FabricId(id(fabricId)), NodeId(id(nodeId)), tags);
        json.nodes[role] = {
            nodeId,
            opPrivateKey: hex(key.privateKey),
            opPublicKey: hex(key.publicKey),
            nocTlv: hex(noc),
        };
    }

    // Derived values let another implementation check its own derivation first
    const fabric = await Fabric.create(crypto, fabricConfig(json, "initiator"));
    json.derived = {
        compressedFabricId: fabric.globalId.toString(16).padStart(16, "0"),
        operationalIpk: hex(fabric.operationalIdentityProtectionKey),
    };
    return json;
}

/** The same fabric as one node knows it: without the other node's key and certificate and without the CA's keys. */
export function fabricSeenBy(role, json) {
    const other = role === "initiator" ? "responder" : "initiator";
    return {
        ...json,
        rootPrivateKey: null,
        icacPrivateKey: null,
        nodes: {
            ...json.nodes,
            [other]: { nodeId: json.nodes[other].nodeId, opPrivateKey: null, opPublicKey: null, nocTlv: null },
        },
    };
}

/** Fabric file + role -> matter.js Fabric.Config */
export function fabricConfig(json, role) {
    const node = json.nodes[role];
    return {
        fabricIndex: FabricIndex(1),
        fabricId: FabricId(id(json.fabricId)),
        nodeId: NodeId(id(node.nodeId)),
        rootNodeId: NodeId(id(json.nodes.initiator.nodeId)),
        rootVendorId: VendorId(0xfff1),
        keyPair: { privateKey: unhex(node.opPrivateKey), publicKey: unhex(node.opPublicKey) },
        rootCert: unhex(json.rootCertTlv),
        intermediateCACert: json.icacTlv ? unhex(json.icacTlv) : undefined,
        operationalCert: unhex(node.nocTlv),
        identityProtectionKey: unhex(json.ipkEpochKey),
        label: "interop",
    };
}

if (isMain(import.meta)) {
    const args = parseArgs();
    logToStderr("warn");
    const epochKey = () => hex(Environment.default.get(Crypto).randomBytes(16));
    const group = groupId => ({ groupId, keySetId: 1, policy: 0, epochKeys: [epochKey()], startTimes: [1] });
    const json = await makeFabric({
        icac: !!args.icac,
        cats: args.cat ? { initiator: [Number(args.cat)] } : {},
        groups: args.group ? [group(Number(args.group))] : [],
    });
    writeFileSync(args.out ?? "fabric.json", `${JSON.stringify(json, null, 2)}\n`);
}

// The epoch keys that the rows know by name. A datagram shows the session id of its key, and thereby its name.
import { hkdfSync, randomBytes } from "node:crypto";

const derive = (key, salt, info, length) => Buffer.from(hkdfSync("sha256", key, salt, info, length));

/** The group session id of an epoch key on a fabric, computed by neither of the two stacks. */
export function groupSessionId(epochKey, compressedFabricId) {
    const operationalKey = derive(epochKey, Buffer.from(compressedFabricId, "hex"), "GroupKey v1.0", 16);
    return derive(operationalKey, "", "GroupKeyHash", 2).readUInt16BE();
}

/** Keys a, b, c and d, each with a session id of its own, and two twins that have one in common. */
export function drawKeys(compressedFabricId) {
    const drawn = new Map();
    // Of some 300 random keys two are twins
    for (;;) {
        const key = randomBytes(16);
        const id = groupSessionId(key, compressedFabricId);
        const twin = drawn.get(id);
        drawn.delete(id);
        if (twin && drawn.size >= 4) {
            const [a, b, c, d] = drawn.values();
            return { a, b, c, d, twin, "other twin": key };
        }
        drawn.set(id, key);
    }
}

/** The name of the key that has a session id. Twins are told apart by what the receiver makes of them. */
export function keyNames(keys, compressedFabricId) {
    const { "other twin": _, ...named } = keys;
    return new Map(Object.entries(named).map(([name, key]) => [groupSessionId(key, compressedFabricId), name]));
}

/** Groups as a fabric file has them, from groups whose keys are named. */
export const membershipsWith = (keys, groups) =>
    groups.map(group => ({ ...group, epochKeys: group.epochKeys.map(name => keys[name].toString("hex")) }));

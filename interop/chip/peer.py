"""Runs connectedhomeip for the rows: one controller on each of two fabrics, as CASE client and CASE server.

Reads one JSON request a line from standard input and answers each with one JSON line on standard output:

    {"id": 1, "do": "pase", "host": "fd77::1", "port": 5540, "passcode": 20202021, "node": 7}
    {"id": 1, "ok": {"local": 4711, "attestation": "00112233..."}}
    {"id": 2, "error": "ChipStackError: ..."}

The first line, {"ready": true}, comes after some seconds. Requests run at the same time. The stack logs to standard
error, the port of its CASE server too.

    peer.py DIR     keep keys and certificates in DIR
"""
import asyncio
import json
import os
import sys

# The stack writes to standard output as well: what this program says leaves through a copy of it.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import chip.clusters as Clusters
import chip.native
from chip import CertificateAuthority
from chip.ChipStack import ChipStack
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VENDOR = 0xFFF1


class Peer:
    def __init__(self, directory):
        chip.native.Init()
        storage = os.path.join(directory, "storage.json")
        self.stack = ChipStack(persistentStoragePath=storage, enableServerInteractions=True)
        # Kept, as controllers end with their authorities.
        authorities = CertificateAuthority.CertificateAuthorityManager(self.stack, self.stack.GetStorageManager())
        self.authorities = authorities
        # The second fabric has no intermediate certificates.
        self.controllers = {"icac": self.join(authorities, 1), "plain": self.join(authorities, 2)}

    @staticmethod
    def join(authorities, fabric):
        authority = authorities.NewCertificateAuthority()
        authority.alwaysOmitIcac = fabric == 2
        admin = authority.NewFabricAdmin(vendorId=VENDOR, fabricId=fabric)
        return admin.NewController(nodeId=112200 + fabric)

    async def run(self):
        self.pairing = asyncio.Lock()
        say(ready=True)
        loop = asyncio.get_running_loop()
        tasks = set()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            task = asyncio.create_task(self.answer(json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def answer(self, request):
        number, do, fabric = request.pop("id"), request.pop("do"), request.pop("fabric", "icac")
        try:
            say(id=number, ok=await getattr(self, "do_" + do)(self.controllers[fabric], **request))
        except BaseException as error:
            say(id=number, error=f"{type(error).__name__}: {error}")

    async def do_pase(self, controller, host, port, passcode, node, seconds=60):
        async with self.pairing:
            try:
                await asyncio.wait_for(controller.EstablishPASESessionIP(host, passcode, node, port), seconds)
            except BaseException:
                # The stack reports a failure twice. The second report must not end the next attempt.
                await asyncio.sleep(1)
                raise
        return session(await controller.GetConnectedDevice(node, allowPASE=True, timeoutMs=5000))

    async def do_case(self, controller, node, seconds=60):
        """The session with a node: the one at hand, or a new one."""
        timeout = int(seconds * 1000)
        return session(await controller.GetConnectedDevice(node, allowPASE=False, timeoutMs=timeout))

    async def do_expire(self, controller, node):
        """Leaves the sessions with a node, so that the next is established anew. Its record is kept."""
        controller.ExpireSessions(node)

    async def do_read(self, controller, node, times=1, seconds=60):
        """Reads so often at once. Returns how many answers came, and what the others met."""
        attribute = (0, Clusters.BasicInformation.Attributes.VendorName)
        reads = (asyncio.wait_for(controller.ReadAttribute(node, [attribute]), seconds) for _ in range(times))
        results = await asyncio.gather(*reads, return_exceptions=True)
        failed = [f"{type(result).__name__}: {result}" for result in results if isinstance(result, BaseException)]
        return {"answers": times - len(failed), "failed": failed}

    async def do_join(self, controller):
        """Joins the groups 257 and 258 of connectedhomeip's own tests."""
        controller.InitGroupTestingData()

    async def do_group(self, controller, group, times):
        for _ in range(times):
            controller.SendGroupCommand(group, Clusters.OnOff.Commands.Toggle())

    async def do_issue(self, controller, node):
        """Credentials for a node that is no connectedhomeip, signed by the controller's own authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = controller.IssueNOCChain(csr_response(key), node)
        if asyncio.iscoroutine(chain) or isinstance(chain, asyncio.Future):
            chain = await chain
        root = bytes(chain.rcacBytes)
        return {
            "fabricId": "%016x" % controller.fabricId,
            "compressedFabricId": "%016x" % controller.GetCompressedFabricId(),
            "controllerNodeId": "%016x" % controller.nodeId,
            "rootCertTlv": root.hex(),
            "icacTlv": bytes(chain.icacBytes).hex() if chain.icacBytes else None,
            "ipkEpochKey": bytes(chain.ipkBytes).hex(),
            "nodeId": "%016x" % node,
            "nocTlv": bytes(chain.nocBytes).hex(),
            "opPrivateKey": "%064x" % key.private_numbers().private_value,
            "opPublicKey": key.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint).hex(),
        }


def session(device):
    return {"local": device.localSessionId, "attestation": device.attestationChallenge.hex()}


def csr_response(key):
    """What a device would answer to a CSRRequest: a structure of the request and a nonce."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CSR")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    csr = csr.public_bytes(serialization.Encoding.DER)
    elements = b"\x15\x31\x01" + len(csr).to_bytes(2, "little") + csr + b"\x30\x02\x20" + os.urandom(32) + b"\x18"
    command = Clusters.OperationalCredentials.Commands.CSRResponse
    # Its name has changed from release to release.
    field = next(name for name in command.__dataclass_fields__ if name.lower() == "nocsrelements")
    return command(**{field: elements})


def say(**words):
    print(json.dumps(words), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(Peer(sys.argv[1]).run())
    # The stack does not end in order when the interpreter does.
    os._exit(0)

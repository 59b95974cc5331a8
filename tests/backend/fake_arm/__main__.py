"""A fake of the Azure Resource Manager, Entra ID, a little Graph, and the storage data plane's service properties, a key vault's secrets, on loopback.

  python tests/backend/fake_arm --estate states [--now 2026-03-01T00:00:00Z [--freeze]] [--cert server.pem --key server.key] [--client-certificate app.pem]

Prints one JSON line when it serves: {"ready": "http://127.0.0.1:P", "port": P, "tls": "https://localhost:Q", "tls_port": Q, "pid": …,
"tenant", "client_id", "client_secret", "federated_token", "identity_header", "storage_suffix", "vault_suffix"}; ends on SIGTERM. Stateful:
regenerateKey changes keyCreationTime and writes both events, PATCH changes an account's key settings, the vault keeps versions. `--estate` is a name of azure_estate.py or a JSON file of its form. Tests steer it by
`POST /_control` (see switches.py), count by `GET /_calls` and `GET /_stats`, and start anew by `POST /_reset`; `GET /_account/NAME` and `GET /_vault/NAME`
tell what is true, `POST /_account/NAME` changes an account's properties behind everybody's back.
"""
import argparse
import asyncio
import json
import os
import pathlib
import signal
import ssl
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]

from aiohttp import web

import azure_estate
from server import Fake
from store import Clock


async def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--estate", default="states")
    p.add_argument("--now", help="the time of the estate; default: the present")
    p.add_argument("--freeze", action="store_true", help="the clock stands still")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--tls-port", type=int, default=0)
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--client-certificate", help="PEM that client assertions are checked with")
    a = p.parse_args()
    now = azure_estate.parse_now(a.now)

    def make():
        if a.estate.endswith(".json"):
            return json.loads(pathlib.Path(a.estate).read_text())
        return azure_estate.build(a.estate, now)

    fake = Fake(make, Clock(now, a.freeze), pathlib.Path(a.client_certificate).read_text() if a.client_certificate else None)
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()

    async def listen(port, context=None):
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, backlog=1024)
        await site.start()
        return site._server.sockets[0].getsockname()[1]

    port = await listen(a.port)
    estate = fake.store.estate
    ready = {"ready": f"http://127.0.0.1:{port}", "port": port, "pid": os.getpid(), "tenant": estate["tenants"][0]["tenantId"], "client_id": azure_estate.CLIENT_ID,
             "client_secret": azure_estate.CLIENT_SECRET, "federated_token": azure_estate.FEDERATED_TOKEN, "identity_header": estate["identity_header"], "storage_suffix": f"127.0.0.1:{port}", "vault_suffix": f"127.0.0.1:{port}", "now": estate["now"]}
    fake.bases.update({f"http://127.0.0.1:{port}", f"http://localhost:{port}"})
    if a.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(a.cert, a.key)
        tls = await listen(a.tls_port, context)
        fake.bases.update({f"https://127.0.0.1:{tls}", f"https://localhost:{tls}"})
        ready |= {"tls": f"https://localhost:{tls}", "tls_port": tls}
    print(json.dumps(ready), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


asyncio.run(main())

"""The page's real process behind TLS: browsers that know its authority log in, and nobody speaks to it in the clear."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trustme

from edgekd.station.page.roles import Role
from edgekd.station.page.users import FILE, Users

from .served import WAIT_S, ServedPage

PASSWORD = "one lens and two lamps"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def page(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("encrypted")
    made = authority.issue_cert("127.0.0.1", "line-3.plant.example")
    certificate, key = folder / "page.pem", folder / "page.key"
    made.cert_chain_pems[0].write_to_path(certificate)
    made.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    served = ServedPage(folder, certificate=certificate, private_key=key, names=("line-3.plant.example",))
    users = Users(folder / "data" / FILE)
    users.add("erik", Role.ENGINEER, PASSWORD)
    users.close()
    served.run(served.listening())
    yield served
    served.close()


def test_somebody_logs_in_over_tls_and_changes_something(page, authority):
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def test():
        async with httpx.AsyncClient(base_url=f"https://{page.address}", verify=trusting, timeout=WAIT_S) as browser:
            answer = await browser.post("/api/login", json={"name": "erik", "password": PASSWORD})
            assert answer.json()["role"] == "engineer"
            assert "server" not in answer.headers
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-edgekd-")
            assert "Secure" in cookie
            headers = {"X-CSRF-Token": answer.json()["csrf"]}
            reset = await browser.post("/api/stations/press/counters/reset", headers=headers)
            assert reset.status_code == 200
            refused = await browser.post("/api/stations/press/counters/reset")
            assert refused.status_code == 403
            answer = await browser.get("/healthz", headers={"Host": "line-3.plant.example"})
            assert answer.status_code == 200
            answer = await browser.get("/healthz", headers={"Host": "evil.example"})
            assert answer.status_code == 421

    page.run(test())
    assert page.bench.station.snapshot().counters.total == 0


def test_nobody_reaches_it_in_the_clear_or_without_knowing_its_authority(page):
    async def test():
        for url in (f"http://{page.address}", f"https://{page.address}"):
            async with httpx.AsyncClient(base_url=url, timeout=WAIT_S) as browser:
                with pytest.raises(httpx.TransportError):
                    await browser.get("/healthz")

    page.run(test())


def test_an_address_that_a_proxy_might_name_is_not_believed(page, authority):
    """The audit trail names where a request really came from."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def test():
        async with httpx.AsyncClient(base_url=f"https://{page.address}", verify=trusting, timeout=WAIT_S) as browser:
            headers = {"X-Forwarded-For": "10.9.8.7", "Forwarded": "for=10.9.8.7"}
            for _ in range(5):
                wrong = {"name": "nobody", "password": "wrong"}
                assert (await browser.post("/api/login", json=wrong, headers=headers)).status_code == 401
            assert (await browser.post("/api/login", json=wrong)).status_code == 429

    page.run(test())

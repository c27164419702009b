"""A clinic as stock python-socketio clients see it, over polling and over WebSocket.

Run by `python.test.mjs`. With a URL as its argument, the clients connect there without a token and say
who they are. Fails with an exception, and says OK else.
"""

import base64
import hashlib
import hmac
import json
import os
import queue
import sys
import time
import urllib.request
import uuid

import socketio

DEADLINE = 20

with open(os.environ["CHAT_ENDPOINTS"]) as file:
    ENDPOINTS = json.load(file)
APP = ENDPOINTS["apps"]["clinic"]
DECLARING = sys.argv[1] if len(sys.argv) > 1 else None


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(email: str, role: str) -> str:
    header = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = {"email": email, "role": role, "exp": int(time.time()) + 3600}
    body = f"{header}.{encode(json.dumps(claims).encode())}"
    signature = hmac.new(APP["secret"].encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{encode(signature)}"


def new_person(role: str) -> str:
    email = f"{role}-{uuid.uuid4()}@example.org"
    url = f"{ENDPOINTS['stores'][-1]['internal_url']}/internal/v1/apps/clinic/users/{email}"
    request = urllib.request.Request(
        url,
        method="PUT",
        data=json.dumps({"role": role, "name": f"A {role}", "email": email}).encode(),
        headers={
            "authorization": f"Bearer {ENDPOINTS['service_token']}",
            "content-type": "application/json",
        },
    )
    urllib.request.urlopen(request, timeout=DEADLINE).close()
    return email


class Tab:
    """One client; what it hears waits in a queue by name."""

    EVENTS = (
        "receive_message",
        "message_sent_confirmed",
        "user_typing",
        "message_read_receipt",
        "user_online",
        "user_offline",
        "error",
    )

    def __init__(self, url: str, email: str, role: str, transport: str):
        self.email = email
        self.heard = {name: queue.Queue() for name in self.EVENTS}
        self.client = socketio.Client(reconnection=False)
        for name in self.EVENTS:
            # A handler takes one argument: one more would be an error of the client.
            self.client.on(name, lambda data, name=name: self.heard[name].put(data))
        auth = None if DECLARING else {"token": token_of(email, role)}
        self.client.connect(
            DECLARING or url, auth=auth, transports=[transport], wait_timeout=DEADLINE
        )

    def next(self, name: str):
        return self.heard[name].get(timeout=DEADLINE)


def in_order(tab: Tab, name: str) -> list:
    """Thirty messages by their numbers: the client handles each packet in a thread of its own, where one
    may overtake another."""
    return sorted((tab.next(name) for _ in range(30)), key=lambda message: message["seq"])


def converse(transport: str) -> None:
    gateways = [gateway["url"] for gateway in ENDPOINTS["gateways"]]
    doctor = Tab(gateways[0], new_person("doctor"), "doctor", transport)
    admin = Tab(gateways[-1], new_person("admin"), "admin", transport)
    for tab in (doctor, admin):
        tab.client.emit("user_joined", {"email": tab.email})
        assert tab.next("user_online")["email"] == tab.email

    doctor.client.emit("user_typing", {"receiver_email": admin.email, "is_typing": True})
    assert admin.next("user_typing") == {"sender_email": doctor.email, "is_typing": True}
    for n in range(30):
        doctor.client.emit("send_message", {"receiver_email": admin.email, "content": f"{n}"})
    received = in_order(admin, "receive_message")
    assert [message["content"] for message in received] == [str(n) for n in range(30)]
    assert in_order(doctor, "message_sent_confirmed") == received
    admin.client.emit("mark_message_read", {"message_id": received[0]["id"]})
    assert doctor.next("message_read_receipt")["message_id"] == received[0]["id"]
    ack = admin.client.call("send_message", {"receiver_email": doctor.email, "content": "ack"})
    assert not ack, ack
    doctor.client.emit("send_message", {"receiver_email": "", "content": "x"})
    assert doctor.next("error")["message"] == "Invalid message data"
    admin.client.disconnect()
    assert doctor.next("user_offline") == {"email": admin.email}
    doctor.client.disconnect()


for transport in ("websocket", "polling"):
    converse(transport)
    print(f"OK {transport}")

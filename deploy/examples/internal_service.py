"""An internal service beside care-chat, in Python: the same as internal_service.rs.

It tells of two people and their booking, and prints whom it would notify. README.md has the
commands. It is no part of care-chat.
"""

import asyncio
import json
import os

import nats
from nats.errors import TimeoutError
from nats.js.api import ConsumerConfig

APP = "consult"
# Change these, and other people have another appointment.
CONSULTANT = "0e1b6a52-7c1f-4b57-9a55-3f1d2c9b1a01"
PATIENT = "0e1b6a52-7c1f-4b57-9a55-3f1d2c9b1a02"
BOOKING = "0e1b6a52-7c1f-4b57-9a55-3f1d2c9b1a03"


async def tell(js, kind, entry):
    """Writes an entry; it is in the stream when this returns, whether care-chat is there or not."""
    headers = {
        "Content-Type": "application/json",
        # Repeating it within ten minutes does nothing.
        "Nats-Msg-Id": f"{kind}:{entry['id']}:{entry['version']}",
    }
    await js.publish(f"chat.v1.in.{APP}.{kind}", json.dumps(entry).encode(), headers=headers)


async def notify(js):
    """Prints push events for ever. What is not acknowledged comes again, here or at another
    process of the same service."""
    subscription = await js.pull_subscribe(
        f"chat.v1.out.{APP}.push.>",
        durable="example-notifications-py",
        stream="CHAT_OUT",
        config=ConsumerConfig(),
    )
    while True:
        try:
            messages = await subscription.fetch(batch=10, timeout=30)
        except TimeoutError:
            continue
        for message in messages:
            # A service that must not be told twice keeps `id` for a while.
            event = json.loads(message.data)
            print(event["event"], "to", event["data"]["userId"], event["data"], flush=True)
            await message.ack()


async def main():
    connection = await nats.connect(os.environ["NATS_URL"])
    js = connection.jetstream()

    # The version is what decides when the same entry comes again, in whatever order.
    for person, role, name in [(CONSULTANT, "consultant", "Dr. Ada"), (PATIENT, "patient", "Pat")]:
        await tell(js, "user", {"id": person, "role": role, "name": name, "version": 1})
    booking = {
        "id": BOOKING,
        "consultantId": CONSULTANT,
        "patientId": PATIENT,
        "startsAt": "2026-01-14T14:30:00Z",
        "version": 1,
    }
    await tell(js, "booking", booking)
    print("told of booking", BOOKING, flush=True)

    await notify(js)


asyncio.run(main())

"""Where events go, all of it: what is told is kept for each way out, and delivered by threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from s3filters.events.delivery import Delivery
from s3filters.events.message import Event, encode
from s3filters.events.outlets import Lines, Outlet, Webhook
from s3filters.events.spool import Prepared, Spool


class Events:
    """The ways out that were configured.

    :param folder: where what is not delivered yet is kept, one folder for each way out in it
    :param node: what tells this machine from others that have the same folder, and whose locks do
        not reach this one
    :param most: how many events may wait for each way out
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        node: str = "",
        most: int = 100_000,
        *,
        file: str = "",
        webhook: Webhook | None = None,
        durable: bool = True,
    ) -> None:
        outlets: list[tuple[str, str, Outlet]] = []  # option of the ini, folder
        if file:
            outlets.append(("events_file", "file", Lines(file)))
        if webhook is not None:
            outlets.append(("events_url", "webhook", webhook))
        self.deliveries = [
            Delivery(
                option,
                Spool(os.path.join(folder, name, node or "here"), most, durable=durable),
                outlet,
            )
            for option, name, outlet in outlets
        ]

    def start(self) -> None:
        """Begin to deliver; threads do not survive the fork of a worker, so call it behind that."""
        for delivery in self.deliveries:
            threading.Thread(target=delivery.work, name="events", daemon=True).start()

    def end(self) -> None:
        """Deliver no more, so that another process can."""
        for delivery in self.deliveries:
            delivery.end()

    @contextlib.contextmanager
    def about(self, event: Event) -> Iterator[None]:
        """Tell of what the ``with`` block does, unless it raises.

        Raise OSError, before anything is done, when the event cannot be kept.
        """
        message = encode(event)
        prepared: list[Prepared] = []
        try:
            for delivery in self.deliveries:
                prepared.append(delivery.spool.prepare(event.id, message))
            yield
        except BaseException:
            for one in prepared:
                one.did_not()
            raise
        for one in prepared:
            one.happened()

"""Wake a computer that is switched off: Wake-on-LAN.

One packet on the computer's own network, to everybody there; nobody answers. Whether it woke shows when it answers
otherwise.
"""

from __future__ import annotations

from typing import Final

from inventory.model import Host
from tasks.errors import ActionFailed, InventoryError

#: A datagram may get lost.
_TIMES: Final = 3


def wake(host: Host) -> None:
    """Send the packet that wakes a host.

    Raises:
        InventoryError: the inventory has no ``mac`` for it.
        ActionFailed: the packet could not be sent.
    """
    if host.mac is None:
        raise InventoryError(
            "it cannot be woken: its MAC address is not known",
            hint="Set 'mac' for this computer in the inventory.",
            host=host.name,
        )
    import wakeonlan

    try:
        wakeonlan.wake(*[host.mac] * _TIMES, host=host.wake_address, port=host.wake_port)
    except (OSError, UnicodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "this is no name in a network"
        raise ActionFailed(
            f"the packet that wakes it could not be sent to {host.wake_address}: {reason}",
            hint="Set 'wake_address' to the broadcast address of the computer's network, such as 10.3.0.255.",
            host=host.name,
        ) from None

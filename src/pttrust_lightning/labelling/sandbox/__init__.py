"""Run programs that nobody has read, so that the worst of them does no harm."""

from pttrust_lightning.labelling.sandbox.base import Completed, Limits, Sandbox
from pttrust_lightning.labelling.sandbox.bubblewrap import Bubblewrap
from pttrust_lightning.labelling.sandbox.container import Container
from pttrust_lightning.labelling.sandbox.find import find_sandbox
from pttrust_lightning.labelling.sandbox.unsafe import Unsafe

__all__ = ["Bubblewrap", "Completed", "Container", "Limits", "Sandbox", "Unsafe", "find_sandbox"]

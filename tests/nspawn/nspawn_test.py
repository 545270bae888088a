# SPDX-License-Identifier: Apache-2.0
"""What the tests in containers share: one userland for each class, and hosts that end with it."""
import unittest

from container import Container, Userland
from lab import Lab


class NspawnTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.key, cls.public_key = cls.lab.make_key("release")
        cls.userland = Userland(cls.lab, cls.public_key)
        reason = cls.userland.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        cls.image = cls.userland.image("1.0.0")
        cls.n_hosts = 0

    @classmethod
    def host(cls, **config):
        """A host that runs 1.0.0 from USR-A; not booted."""
        cls.n_hosts += 1
        container = Container(cls.lab, cls.userland, f"host-{cls.n_hosts}", cls.image, **config)
        cls.addClassCleanup(container.cut_power)
        return container

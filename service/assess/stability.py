"""Step 2 of an assessment: is the answer stable.

How far it errs beside what else could be done, whether its intervals hold what they say, how far it
moves when its examples are others of the same kind, and for which groups it is worst and why.
"""

import numpy as np

from model.answer import Mode
from model.profile_fit import Tick
from service.assess.accuracy import accuracy
from service.assess.asking import ask
from service.assess.coverage import coverage
from service.assess.findings import Stability
from service.assess.material import Material
from service.assess.steadiness import steadiness
from service.assess.worst import worst_groups


def stability(material: Material, tick: Tick) -> Stability:
    """Return what a profile's answers to groups it has not seen are worth.

    `tick` is told the stage and its share. Where no held-out group gives a prompt, all is empty.
    """
    if not material.prompts:
        return Stability((), (), (), (), (), material.boosting is not None, 0.0)
    tick("intervals on unseen groups", 0.0)
    asked = {M: ask(material.model, prompts) for M, prompts in material.prompts.items()}
    tick("beside other methods", 0.1)
    compared = accuracy(material.cells, asked, material.seed)
    covered = coverage(asked.values(), material.seed)
    tick("other examples", 0.3)
    moved = steadiness(material.model, asked[material.length], material.seed)
    tick("the worst groups", 0.7)
    errors, worst = worst_groups(material, lambda stage, share: tick(stage, 0.7 + 0.3 * share))
    modes = np.concatenate([one.modes for one in asked.values()])  # (prompts,)
    return Stability(
        accuracy=compared,
        coverage=covered,
        steadiness=moved,
        group_errors=errors,
        worst=worst,
        is_boosting_compared=material.boosting is not None,
        answered_by_profile=float((modes == Mode.PROFILE).mean()),
        refused=float((modes == 0).mean()),
    )

"""Rules: what is watched in one project or in all. A kind of rule is one class in a module here.

kind      the base class of kinds: label, unit, defaults, how it measures, its sentence. The kinds
          are in the other modules.
inputs    the fields of a rule that a person may set
changes   add, change and remove rules, and give a project its own copy of a shared rule
stored    read stored rules and their last evaluations
cooldown  raise one notification, then none until the cool-down is over
"""

from app.alerts.rules.kind import KINDS

KINDS.load(__name__, __path__)

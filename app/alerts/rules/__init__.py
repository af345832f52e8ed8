"""Rules: what is watched in a project, or in all. A kind of rule is one class in a module here.

kind      what a kind is: its label, unit and defaults, how it measures, its sentence; the kinds are
          the other modules
inputs    what a person may set of a rule          changes   made, changed, set apart, removed
stored    rules as they are kept and found         cooldown  one notification, then none for a while
"""

from app.alerts.rules.kind import KINDS

KINDS.load(__name__, __path__)

"""Redaction: what must not be stored is taken out of a request before anything keeps it.

`load_redactor` reads rules from a TOML file, `redactor_of` takes them as values;
`Redactor.redact` applies them and counts what it did.
"""

from otlp_capture.redaction.errors import HashKeyMissing as HashKeyMissing
from otlp_capture.redaction.errors import InvalidRule as InvalidRule
from otlp_capture.redaction.errors import InvalidRuleSetting as InvalidRuleSetting
from otlp_capture.redaction.errors import RedactionFailed as RedactionFailed
from otlp_capture.redaction.errors import RulesRefused as RulesRefused
from otlp_capture.redaction.errors import RulesUnreadable as RulesUnreadable
from otlp_capture.redaction.keeping import redact_to_keep as redact_to_keep
from otlp_capture.redaction.patterns import PRESETS as PRESETS
from otlp_capture.redaction.redactor import Redactor as Redactor
from otlp_capture.redaction.redactor import redaction_report as redaction_report
from otlp_capture.redaction.redactor import redactor_of as redactor_of
from otlp_capture.redaction.rules import Rule as Rule
from otlp_capture.redaction.rules import RuleSet as RuleSet
from otlp_capture.redaction.rules import check_rules as check_rules
from otlp_capture.redaction.toml import load_redactor as load_redactor

__all__ = [
    "PRESETS",
    "HashKeyMissing",
    "InvalidRule",
    "InvalidRuleSetting",
    "RedactionFailed",
    "Redactor",
    "Rule",
    "RuleSet",
    "RulesRefused",
    "RulesUnreadable",
    "check_rules",
    "load_redactor",
    "redact_to_keep",
    "redaction_report",
    "redactor_of",
]

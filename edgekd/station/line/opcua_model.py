"""What a station uses of OPC 40100-1 (Machine Vision, part 1, version 1.00): names, NodeIds, fields and arguments.

Nothing is computed here. Nodes are numbers in the namespace of the companion specification, as its NodeSet2 has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NAMESPACE = "http://opcfoundation.org/UA/MachineVision"
OWN_NAMESPACE = "urn:edgekd:station"

# Types by name: of OPC UA itself, or of the tables below; "[]" behind it for an array.
Arguments = tuple[tuple[str, str], ...]


class Structure(NamedTuple):
    """A structured data type: its node, its binary encoding, and its fields; those with "?" may be missing."""

    node: int
    encoding: int
    fields: Arguments
    base: str = "Structure"


class EventType(NamedTuple):
    """An event type, and its properties with their nodes."""

    node: int
    base: str
    fields: tuple[tuple[str, str, int], ...] = ()


class Method(NamedTuple):
    """A method of an object type: its node, the nodes of its arguments, and the arguments."""

    node: int
    inputs: Arguments = ()
    outputs: Arguments = ()
    input_node: int = 0
    output_node: int = 0


class Step(NamedTuple):
    """A state or a transition of a state machine: its node, its number, and the node that holds the number."""

    node: int
    number: int
    number_node: int


# Names for basic types: node and base.
ALIASES: Mapping[str, tuple[int, str]] = {
    "TrimmedString": (3017, "String"),
    "ResultStateDataType": (3009, "Int32"),
    "Handle": (3018, "UInt32"),
}
ENUMERATIONS: Mapping[str, tuple[int, tuple[tuple[str, int], ...]]] = {
    "TriStateBooleanDataType": (3014, (("FALSE_0", 0), ("TRUE_1", 1), ("DONTCARE_2", 2))),
    "SystemStateDataType": (
        3023,
        (("PRD_1", 1), ("SBY_2", 2), ("ENG_3", 3), ("SDT_4", 4), ("UDT_5", 5), ("NST_6", 6)),
    ),
}

_IDENTITY: Arguments = (
    ("Id", "TrimmedString"),
    ("Version?", "TrimmedString"),
    ("Hash?", "ByteString"),
    ("HashAlgorithm?", "String"),
    ("Description?", "LocalizedText"),
)
_NAMED: Arguments = (("Id", "TrimmedString"), ("Description?", "LocalizedText"))
_ONLY_ID: Arguments = (("Id", "TrimmedString"),)
_RESULT: Arguments = (
    ("ResultId", "ResultIdDataType"),
    ("HasTransferableDataOnFile?", "Boolean"),
    ("IsPartial", "Boolean"),
    ("IsSimulated?", "Boolean"),
    ("ResultState", "ResultStateDataType"),
    ("MeasId?", "MeasIdDataType"),
    ("PartId?", "PartIdDataType"),
    ("ExternalRecipeId?", "RecipeIdExternalDataType"),
    ("InternalRecipeId", "RecipeIdInternalDataType"),
    ("ProductId?", "ProductIdDataType"),
    ("ExternalConfigurationId?", "ConfigurationIdDataType"),
    ("InternalConfigurationId", "ConfigurationIdDataType"),
    ("JobId", "JobIdDataType"),
    ("CreationTime", "UtcTime"),
    ("ProcessingTimes?", "ProcessingTimesDataType"),
    ("ResultContent?", "BaseDataType[]"),
)
STRUCTURES: Mapping[str, Structure] = {
    "BinaryIdBaseDataType": Structure(3019, 5027, _IDENTITY),
    "RecipeIdExternalDataType": Structure(3002, 5002, _IDENTITY, "BinaryIdBaseDataType"),
    "RecipeIdInternalDataType": Structure(3013, 5268, _IDENTITY, "BinaryIdBaseDataType"),
    "ConfigurationIdDataType": Structure(3008, 5090, _IDENTITY, "BinaryIdBaseDataType"),
    "MeasIdDataType": Structure(3015, 5006, _NAMED),
    "PartIdDataType": Structure(3004, 5013, _NAMED),
    "ProductIdDataType": Structure(3003, 5224, _NAMED),
    "JobIdDataType": Structure(3016, 5008, _ONLY_ID),
    "ResultIdDataType": Structure(3021, 5274, _ONLY_ID),
    "ProcessingTimesDataType": Structure(
        3005,
        5016,
        (
            ("StartTime", "UtcTime"),
            ("EndTime", "UtcTime"),
            ("AcquisitionDuration?", "Duration"),
            ("ProcessingDuration?", "Duration"),
        ),
    ),
    "ResultDataType": Structure(3006, 5018, _RESULT),
    "SystemStateDescriptionDataType": Structure(
        3024, 5278, (("State", "SystemStateDataType"), ("StateDescription?", "TrimmedString"))
    ),
}

EVENT_TYPES: Mapping[str, EventType] = {
    "JobStartedEventType": EventType(1013, "BaseEventType", (("JobId", "JobIdDataType", 6141),)),
    "ReadyEventType": EventType(1023, "BaseEventType", (("JobId", "JobIdDataType", 6294),)),
    "AcquisitionDoneEventType": EventType(1025, "BaseEventType", (("JobId", "JobIdDataType", 6308),)),
    "RecipePreparedEventType": EventType(
        1022,
        "BaseEventType",
        (
            ("ExternalId", "RecipeIdExternalDataType", 6291),
            ("InternalId", "RecipeIdInternalDataType", 6140),
            ("ProductId", "ProductIdDataType", 6292),
        ),
    ),
    "ResultReadyEventType": EventType(
        1024,
        "BaseEventType",
        (
            ("CreationTime", "UtcTime", 6303),
            ("ExternalConfigurationId", "ConfigurationIdDataType", 6045),
            ("ExternalRecipeId", "RecipeIdExternalDataType", 6301),
            ("InternalConfigurationId", "ConfigurationIdDataType", 6142),
            ("InternalRecipeId", "RecipeIdInternalDataType", 6302),
            ("IsPartial", "Boolean", 6296),
            ("IsSimulated", "Boolean", 6297),
            ("JobId", "JobIdDataType", 6300),
            ("MeasId", "MeasIdDataType", 6299),
            ("PartId", "PartIdDataType", 6304),
            ("ProcessingTimes", "ProcessingTimesDataType", 6305),
            ("ProductId", "ProductIdDataType", 6143),
            ("ResultContent", "BaseDataType[]", 6306),
            ("ResultId", "ResultIdDataType", 6295),
            ("ResultState", "ResultStateDataType", 6298),
        ),
    ),
    "StateChangedEventType": EventType(1018, "TransitionEventType"),
    "ErrorEventType": EventType(1019, "TransitionEventType"),
    "ErrorResolvedEventType": EventType(1020, "TransitionEventType"),
}

OBJECT_TYPES: Mapping[str, tuple[int, str]] = {
    "VisionAutomaticModeStateMachineType": (1021, "FiniteStateMachineType"),
    "VisionStateMachineType": (1017, "FiniteStateMachineType"),
    "ResultFolderType": (1016, "FolderType"),
    "RecipeManagementType": (1004, "BaseObjectType"),
    "ResultManagementType": (1007, "BaseObjectType"),
    "VisionSystemType": (1003, "BaseObjectType"),
}
RESULT_TYPE = 2002  # A variable that holds a ResultDataType.
# Objects inside others of these types: owner, node, type, whether it must be there.
PARTS: Mapping[str, tuple[str, int, str, bool]] = {
    "AutomaticModeStateMachine": ("VisionStateMachineType", 5024, "VisionAutomaticModeStateMachineType", False),
    "Results": ("ResultManagementType", 5245, "ResultFolderType", False),
    "VisionStateMachine": ("VisionSystemType", 5053, "VisionStateMachineType", True),
    "RecipeManagement": ("VisionSystemType", 5015, "RecipeManagementType", False),
    "ResultManagement": ("VisionSystemType", 5020, "ResultManagementType", False),
}
SYSTEM_STATE = 6049  # A variable of VisionSystemType.

_CAUSE: Arguments = (("Cause", "Int32"), ("CauseDescription", "String"))
_ERROR: Arguments = (("Error", "Int32"),)
_START: Arguments = (
    ("MeasId", "MeasIdDataType"),
    ("PartId", "PartIdDataType"),
    ("RecipeId", "RecipeIdExternalDataType"),
    ("ProductId", "ProductIdDataType"),
    ("Parameters", "BaseDataType[]"),
)
_STARTED: Arguments = (("JobId", "JobIdDataType"), *_ERROR)
_PREPARE: Arguments = (("ExternalId", "RecipeIdExternalDataType"), ("InternalIdIn", "RecipeIdInternalDataType"))
_PREPARED: Arguments = (("InternalIdOut", "RecipeIdInternalDataType"), ("IsCompleted", "Boolean"), *_ERROR)
_UNPREPARED: Arguments = (("InternalIdOut", "RecipeIdInternalDataType"), *_ERROR)
_PAGE: Arguments = (("MaxResults", "UInt32"), ("StartIndex", "UInt32"), ("Timeout", "Int32"))
_ONE: Arguments = (("ResultId", "ResultIdDataType"), ("Timeout", "Int32"))
METHODS: Mapping[str, Mapping[str, Method]] = {
    "VisionStateMachineType": {
        "Reset": Method(7093, _CAUSE, _ERROR, 6256, 6257),
        "Halt": Method(7094, _CAUSE, _ERROR, 6254, 6255),
        "SelectModeAutomatic": Method(7095, (), _ERROR, 0, 6258),
        "ConfirmAll": Method(7066, (("Comment", "LocalizedText"),), (), 6241, 0),
    },
    "VisionAutomaticModeStateMachineType": {
        "StartSingleJob": Method(7098, _START, _STARTED, 6281, 6282),
        "StartContinuous": Method(7009, _START, _STARTED, 6086, 6087),
        "Stop": Method(7096, _CAUSE, _ERROR, 6287, 6288),
        "Abort": Method(7097, _CAUSE, _ERROR, 6285, 6286),
        "SimulationMode": Method(7100, (("Activate", "Boolean"), *_CAUSE), _ERROR, 6289, 6290),
    },
    "RecipeManagementType": {
        "PrepareRecipe": Method(7015, _PREPARE, _PREPARED, 6148, 6149),
        "UnprepareRecipe": Method(7055, _PREPARE, _UNPREPARED, 6152, 6153),
        "GetRecipeListFiltered": Method(
            7014,
            (
                ("ExternalId", "RecipeIdExternalDataType"),
                ("ProductId", "ProductIdDataType"),
                ("IsPrepared", "TriStateBooleanDataType"),
                *_PAGE,
            ),
            (
                ("IsComplete", "Boolean"),
                ("ResultCount", "UInt32"),
                ("RecipeHandle", "Handle"),
                ("RecipeList", "RecipeIdInternalDataType[]"),
                *_ERROR,
            ),
            6156,
            6157,
        ),
    },
    "ResultManagementType": {
        "GetResultById": Method(
            7026, _ONE, (("ResultHandle", "Handle"), ("Result", "ResultDataType"), *_ERROR), 6209, 6210
        ),
        "GetResultComponentsById": Method(
            7007,
            _ONE,
            (
                ("HasTransferableDataOnFile", "Boolean"),
                ("ResultHandle", "Handle"),
                *((name.rstrip("?"), kind) for name, kind in _RESULT[2:]),
                *_ERROR,
            ),
            6024,
            6025,
        ),
        "GetResultListFiltered": Method(
            7089,
            (
                ("ResultState", "ResultStateDataType"),
                ("MeasId", "MeasIdDataType"),
                ("PartId", "PartIdDataType"),
                ("ExternalRecipeId", "RecipeIdExternalDataType"),
                ("InternalRecipeId", "RecipeIdInternalDataType"),
                ("ExternalConfigurationId", "ConfigurationIdDataType"),
                ("InternalConfigurationId", "ConfigurationIdDataType"),
                ("ProductId", "ProductIdDataType"),
                ("JobId", "JobIdDataType"),
                *_PAGE,
            ),
            (
                ("IsComplete", "Boolean"),
                ("ResultCount", "UInt32"),
                ("ResultHandle", "Handle"),
                ("ResultList", "ResultDataType[]"),
                *_ERROR,
            ),
            6213,
            6214,
        ),
    },
}

# States and transitions; a transition's number is that of its first state, of its second, and 0 where nobody asked.
STATES: Mapping[str, Mapping[str, Step]] = {
    "VisionStateMachineType": {
        "Preoperational": Step(5028, 1, 6226),
        "Halted": Step(5029, 2, 6227),
        "Error": Step(5030, 3, 6228),
        "Operational": Step(5031, 4, 6229),
    },
    "VisionAutomaticModeStateMachineType": {
        "Initialized": Step(5056, 5, 6259),
        "Ready": Step(5057, 6, 6260),
        "SingleExecution": Step(5058, 7, 6261),
        "ContinuousExecution": Step(5059, 8, 6262),
    },
}
TRANSITIONS: Mapping[str, Mapping[str, Step]] = {
    "VisionStateMachineType": {
        "PreoperationalToHalted": Step(5032, 121, 6230),
        "PreoperationalToHaltedAuto": Step(5033, 120, 6231),
        "PreoperationalToErrorAuto": Step(5034, 130, 6232),
        "PreoperationalToInitialized": Step(5035, 151, 6233),
        "PreoperationalToInitializedAuto": Step(5036, 150, 6234),
        "HaltedToPreoperational": Step(5037, 211, 6235),
        "HaltedToPreoperationalAuto": Step(5038, 210, 6236),
        "ErrorToPreoperational": Step(5039, 311, 6237),
        "ErrorToPreoperationalAuto": Step(5040, 310, 6238),
        "ErrorToHalted": Step(5041, 321, 6239),
        "ErrorToHaltedAuto": Step(5042, 320, 6240),
        "ErrorToOperationalAuto": Step(5255, 340, 6341),
        "OperationalToPreoperational": Step(5047, 411, 6245),
        "OperationalToPreoperationalAuto": Step(5048, 410, 6246),
        "OperationalToHalted": Step(5049, 421, 6247),
        "OperationalToHaltedAuto": Step(5050, 420, 6248),
        "OperationalToErrorAuto": Step(5051, 430, 6249),
        "PreoperationalToOperational": Step(5253, 141, 6171),
        "PreoperationalToOperationalAuto": Step(5254, 140, 6221),
    },
    "VisionAutomaticModeStateMachineType": {
        "InitializedToReadyRecipe": Step(5060, 561, 6263),
        "InitializedToReadyAuto": Step(5061, 560, 6264),
        "ReadyToInitializedRecipe": Step(5062, 651, 6265),
        "ReadyToInitializedAuto": Step(5063, 650, 6266),
        "ReadyToSingleExecution": Step(5064, 671, 6267),
        "ReadyToSingleExecutionAuto": Step(5065, 670, 6268),
        "ReadyToContinuousExecution": Step(5066, 681, 6269),
        "ReadyToContinuousExecutionAuto": Step(5067, 680, 6270),
        "SingleExecutionToReadyStop": Step(5068, 761, 6271),
        "SingleExecutionToReadyAbort": Step(5069, 762, 6272),
        "SingleExecutionToReadyAuto": Step(5070, 760, 6273),
        "ContinuousExecutionToReadyStop": Step(5071, 861, 6274),
        "ContinuousExecutionToReadyAbort": Step(5072, 862, 6275),
        "ContinuousExecutionToReadyAuto": Step(5073, 860, 6276),
    },
}

"""template.yaml gives exactly the rights that a function needs, and a wider one is noticed.

Everything that gives a right is compared, statement by statement, with what
stands here: in the file itself, and in what its transformation makes of it
where the translator is installed (``make test-template``).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint_file
from cfnlint.decode import cfn_yaml

from cloud.secrets import EXPECTED as A_KEYS_PLACE
from cloud.store_address import parse_store_address
from cloud.trying import DEADLINE_SECONDS
from ingest.handlers import create_item, version
from tests.support.stores import FUNCTION_RIGHTS, PREFIX
from vault.objects import KEY_ROOT

Template = dict[str, Any]
FILE = Path(__file__).parents[2] / "template.yaml"
REGION = "eu-central-1"
SAM = "AWS::Serverless-2016-10-31"

LOG_KEY = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${LogKeyName}"
KEY = {"Fn::GetAtt": ["Key", "Arn"]}
EVERYTHING = [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}]

ROLE = [
    {
        "Sid": "PutItems",
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:PutObjectTagging", "s3:GetObjectTagging"],
        "Resource": {"Fn::Sub": "${Bucket.Arn}/pods/v1/*"},
    },
    {
        "Sid": "EncryptThem",
        "Effect": "Allow",
        "Action": "kms:GenerateDataKey",
        "Resource": KEY,
        "Condition": {"StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"}}},
    },
    {
        "Sid": "ReadItsLogKey",
        "Effect": "Allow",
        "Action": "ssm:GetParameter",
        "Resource": {"Fn::Sub": LOG_KEY},
    },
    {
        "Sid": "DecryptItsLogKey",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": KEY,
        "Condition": {
            "StringEquals": {
                "kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"},
                "kms:EncryptionContext:PARAMETER_ARN": {"Fn::Sub": LOG_KEY},
            }
        },
    },
    {
        "Sid": "WriteItsLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::GetAtt": ["FunctionLog", "Arn"]},
    },
]
"""All that a function may do."""

BUCKET = [
    {
        "Sid": "RefusePlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": EVERYTHING,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    },
    {
        "Sid": "RefuseOldTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": EVERYTHING,
        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    },
    {
        "Sid": "RefuseUnconditionalPuts",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
        "Condition": {"Null": {"s3:if-none-match": "true"}},
    },
]
"""What nobody may do, whatever their role says."""

EVERY_RIGHT = {
    "FunctionRole": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        },
        "Policies": [
            {
                "PolicyName": "all-it-may-do",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": ROLE},
            }
        ],
    },
    "BucketPolicy": {
        "Bucket": {"Ref": "Bucket"},
        "PolicyDocument": {"Version": "2012-10-17", "Statement": BUCKET},
    },
    "Key": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "LeaveItToTheAccount",
                "Effect": "Allow",
                "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    },
}

HARMLESS = {
    "AWS::CloudWatch::Alarm",
    "AWS::KMS::Alias",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
}
"""These give nobody a right."""

BUCKET_PROPERTIES = {
    "PublicAccessBlockConfiguration": dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    ),
    "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    "VersioningConfiguration": {"Status": "Enabled"},
    "BucketEncryption": {
        "ServerSideEncryptionConfiguration": [
            {
                "BucketKeyEnabled": True,
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            }
        ]
    },
}

FUNCTION_PROPERTIES = {
    *("Architectures", "CodeUri", "Description", "Environment", "Events", "Handler", "LoggingConfig"),
    *("MemorySize", "ReservedConcurrentExecutions", "Role", "Runtime", "Timeout"),
}
"""Of a serverless function; ``Policies``, ``Connectors`` and a URL of its own would give rights."""


def written() -> Template:
    """The file, without its line numbers."""
    read: Template = json.loads(json.dumps(cfn_yaml.load(str(FILE))))
    return read


def transformed(template: Template) -> Template:
    """What is deployed of it."""
    transform = pytest.importorskip(
        "samtranslator.translator.transform", reason="needs the translator: make test-template"
    ).transform

    class NoManagedPolicies:
        """Names of AWS's own policies, of which none is used."""

        def load(self) -> dict[str, str]:
            """None."""
            return {}

    changed = copy.deepcopy(template)
    # As after `sam package`: code lies in a bucket.
    changed["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://packages/code"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        made: Template = transform(changed, {}, NoManagedPolicies())
    return made


SECTIONS = {
    *(
        "AWSTemplateFormatVersion",
        "Transform",
        "Description",
        "Parameters",
        "Conditions",
        "Resources",
        "Outputs",
    ),
}
"""Not ``Globals``, which reach into every function; nor ``Metadata``, ``Rules`` or ``Mappings``."""

ATTRIBUTES = {"Type", "Properties", "DeletionPolicy", "UpdateReplacePolicy"}
"""Of a resource. ``Connectors`` would give rights; a ``Condition`` could take away what refuses them."""

API_PROPERTIES = {"Description", "FailOnWarnings", "DefaultRouteSettings", "AccessLogSettings"}
"""Of a serverless API; a body of its own could call other services."""


def wider(template: Template) -> Iterator[str]:
    """Name everything that gives, or stops refusing, a right, and is not what it must be."""
    yield from template.keys() - SECTIONS
    if template.get("Transform", SAM) != SAM:
        yield "Transform"
    for name, resource in template["Resources"].items():
        if resource.keys() - ATTRIBUTES and name != "AlarmMail":
            yield f"{name}: {resource.keys() - ATTRIBUTES}"
        if not _is_narrow(name, resource["Type"], resource.get("Properties", {})):
            yield name
    if missing := EVERY_RIGHT.keys() - template["Resources"].keys():
        yield f"missing: {missing}"


def _is_narrow(name: str, kind: str, properties: dict[str, Any]) -> bool:
    judge = JUDGES.get(kind)
    return judge(name, properties) if judge else kind in HARMLESS


def _is_expected(name: str, properties: dict[str, Any]) -> bool:
    return properties == EVERY_RIGHT.get(name)


def _is_a_serverless_function(name: str, properties: dict[str, Any]) -> bool:
    calls = properties["Events"].values()
    is_usual = properties.keys() == FUNCTION_PROPERTIES and all(_is_a_call(call) for call in calls)
    return name == "Function" and is_usual and _has_its_role(properties)


JUDGES: dict[str, Callable[[str, dict[str, Any]], bool]] = {
    "AWS::IAM::Role": _is_expected,
    "AWS::S3::BucketPolicy": _is_expected,
    "AWS::KMS::Key": lambda name, properties: properties["KeyPolicy"] == EVERY_RIGHT.get(name),
    "AWS::S3::Bucket": lambda name, properties: name == "Bucket" and properties == BUCKET_PROPERTIES,
    "AWS::Serverless::Function": _is_a_serverless_function,
    "AWS::Lambda::Function": lambda name, properties: name == "Function" and _has_its_role(properties),
    "AWS::Lambda::Permission": lambda _, properties: _is_the_apis(properties),
    "AWS::Serverless::HttpApi": lambda _, properties: properties.keys() == API_PROPERTIES,
    "AWS::ApiGatewayV2::Api": lambda name, _: name == "Api",
    "AWS::ApiGatewayV2::Stage": lambda _, properties: properties["ApiId"] == {"Ref": "Api"},
}
"""What each kind of resource that can give a right must be."""


def _has_its_role(properties: dict[str, Any]) -> bool:
    return bool(properties["Role"] == {"Fn::GetAtt": ["FunctionRole", "Arn"]})


def _is_a_call(event: dict[str, Any]) -> bool:
    return bool(event["Type"] == "HttpApi" and event["Properties"]["ApiId"] == {"Ref": "Api"})


def _is_the_apis(properties: dict[str, Any]) -> bool:
    may_be = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    source = properties.get("SourceArn", {}).get("Fn::Sub", ["", {}])
    is_of_api = source[1].get("__ApiId__") == {"Ref": "Api"} and ":${__ApiId__}/" in source[0]
    return is_of_api and may_be.items() <= properties.items()


def test_the_function_may_do_what_it_needs_and_nothing_else() -> None:
    """Statement by statement; whatever else gives a right would be named."""
    assert list(wider(written())) == []


def test_its_transformation_adds_no_right() -> None:
    """But that the API, and no other, may call the function: two calls."""
    made = transformed(written())
    assert list(wider(made)) == []
    kinds = [resource["Type"] for resource in made["Resources"].values()]
    assert kinds.count("AWS::IAM::Role") == kinds.count("AWS::S3::Bucket") == 1
    assert kinds.count("AWS::Lambda::Permission") == 2


def statement(template: Template, sid: str) -> dict[str, Any]:
    """One statement of the role or of the bucket's policy."""
    resources = template["Resources"]
    role = resources["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    bucket = resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (found,) = [each for each in [*role, *bucket] if each["Sid"] == sid]
    it: dict[str, Any] = found
    return it


def _also_get(template: Template) -> None:
    statement(template, "PutItems")["Action"].append("s3:GetObject")


def _anywhere(template: Template) -> None:
    statement(template, "PutItems")["Resource"] = {"Fn::Sub": "${Bucket.Arn}/*"}


def _decrypt_objects(template: Template) -> None:
    del statement(template, "DecryptItsLogKey")["Condition"]


def _any_parameter(template: Template) -> None:
    statement(template, "ReadItsLogKey")["Resource"] = "*"


def _list_too(template: Template) -> None:
    role = template["Resources"]["FunctionRole"]["Properties"]
    role["Policies"].append({"PolicyName": "more", "PolicyDocument": {"Statement": []}})


def _managed(template: Template) -> None:
    template["Resources"]["FunctionRole"]["Properties"]["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/x"]


def _anybody_takes_it(template: Template) -> None:
    trust = template["Resources"]["FunctionRole"]["Properties"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Principal"] = {"AWS": "*"}


def _plain_http(template: Template) -> None:
    statement(template, "RefusePlainHttp")["Condition"]["Bool"]["aws:SecureTransport"] = "true"


def _unconditional(template: Template) -> None:
    policy = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != "RefuseUnconditionalPuts"]


def _let_in(template: Template) -> None:
    policy = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
    policy["Statement"].append({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"})


def _no_policy(template: Template) -> None:
    del template["Resources"]["BucketPolicy"]


def _public(template: Template) -> None:
    bucket = template["Resources"]["Bucket"]["Properties"]
    bucket["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] = False


def _key_for_all(template: Template) -> None:
    template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"][0]["Principal"] = "*"


def _second_role(template: Template) -> None:
    template["Resources"]["Other"] = copy.deepcopy(template["Resources"]["FunctionRole"])


def _policy_beside(template: Template) -> None:
    template["Resources"]["Other"] = {"Type": "AWS::IAM::Policy", "Properties": {}}


def _by_sam(template: Template) -> None:
    template["Resources"]["Function"]["Properties"]["Policies"] = ["AmazonS3FullAccess"]


def _own_url(template: Template) -> None:
    template["Resources"]["Function"]["Properties"]["FunctionUrlConfig"] = {"AuthType": "NONE"}


def _other_role(template: Template) -> None:
    template["Resources"]["Function"]["Properties"]["Role"] = "arn:aws:iam::1:role/admin"


def _other_event(template: Template) -> None:
    events = template["Resources"]["Function"]["Properties"]["Events"]
    events["Stream"] = {"Type": "Kinesis", "Properties": {"Stream": "x"}}


def _connectors(template: Template) -> None:
    template["Resources"]["Function"]["Connectors"] = {"More": {"Properties": {"Permissions": ["Read"]}}}


def _maybe_no_policy(template: Template) -> None:
    template["Resources"]["BucketPolicy"]["Condition"] = "IsSomebodyTold"


def _globally(template: Template) -> None:
    template["Globals"] = {"Function": {"Layers": ["arn:aws:lambda:x"]}}


def _other_macro(template: Template) -> None:
    template["Transform"] = [SAM, "Somebodys"]


def _another_api(template: Template) -> None:
    template["Resources"]["Api"]["Properties"]["DefinitionBody"] = {}


def _another_function(template: Template) -> None:
    template["Resources"]["Other"] = copy.deepcopy(template["Resources"]["Function"])


def _for_everybody(template: Template) -> None:
    template["Resources"]["Other"] = {
        "Type": "AWS::Lambda::Permission",
        "Properties": {"Action": "lambda:InvokeFunction", "Principal": "*"},
    }


@pytest.mark.parametrize(
    "plant",
    [
        *(_also_get, _anywhere, _decrypt_objects, _any_parameter, _list_too, _managed, _anybody_takes_it),
        *(_plain_http, _unconditional, _let_in, _no_policy, _public, _key_for_all, _second_role),
        *(_policy_beside, _by_sam, _own_url, _other_role, _other_event, _for_everybody, _connectors),
        *(_maybe_no_policy, _globally, _other_macro, _another_api, _another_function),
    ],
    ids=lambda plant: plant.__name__.strip("_"),
)
def test_a_wider_right_is_noticed(plant: Callable[[Template], None]) -> None:
    """Each is one that somebody could add for a good reason, and forget."""
    template = written()
    plant(template)
    assert list(wider(template)) != []


def test_what_the_role_may_do_is_what_the_tests_of_the_function_are_allowed() -> None:
    """Those run against a store that enforces it; and the bundle's store and the rights are of one place."""
    template = written()
    assert set(statement(template, "PutItems")["Action"]) == set(FUNCTION_RIGHTS)
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    store = variables["POD_STORE"]["Fn::Sub"].replace("${Bucket}", "items").replace("${AWS::Region}", REGION)
    address = parse_store_address(store)
    assert (address.prefix, address.region, address.keeps_tags) == (PREFIX, REGION, True)
    assert statement(template, "PutItems")["Resource"]["Fn::Sub"].endswith(f"/{address.prefix}{KEY_ROOT}*")


def test_no_secret_is_a_parameter_or_a_variable() -> None:
    """Consoles show both: they say where the key is."""
    template = written()
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert variables.keys() == {"POD_STORE", "POD_LOG_KEY"}
    assert variables["POD_LOG_KEY"] == {"Fn::Sub": "ssm:${LogKeyName}"}
    assert "ssm:NAME" in A_KEYS_PLACE
    assert template["Parameters"].keys() == {
        *("LogKeyName", "RequestsPerSecond", "RequestBurst", "Concurrency", "LogDays", "AlarmEmail"),
    }


def test_what_must_outlive_the_deployment_does() -> None:
    """The items, what protects them, and the key without which nobody reads them."""
    resources = written()["Resources"]
    for name in ("Bucket", "BucketPolicy", "Key"):
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    assert resources["Key"]["Properties"]["EnableKeyRotation"] is True


def test_logs_hold_no_secret_and_end() -> None:
    """The access log has no path, address, header or body; every group is forgotten after some days."""
    resources = written()["Resources"]
    access = json.loads(resources["Api"]["Properties"]["AccessLogSettings"]["Format"])
    told = {value.removeprefix("$context.") for value in access.values()}
    assert told == {
        *("requestId", "requestTimeEpoch", "routeKey", "status", "responseLength", "responseLatency"),
    }
    groups = [each for each in resources.values() if each["Type"] == "AWS::Logs::LogGroup"]
    assert len(groups) == 2
    assert all(group["Properties"]["RetentionInDays"] == {"Ref": "LogDays"} for group in groups)


def test_the_door_is_the_servers() -> None:
    """Its two calls, a brake on both, and a function that may take longer than its own deadline."""
    resources = written()["Resources"]
    function = resources["Function"]["Properties"]
    paths = {event["Properties"]["Path"] for event in function["Events"].values()}
    assert paths == {f"{create_item.PATH}/{{owner}}/create_item", version.PATH}
    assert function["ReservedConcurrentExecutions"] == {"Ref": "Concurrency"}
    assert function["Architectures"] == ["arm64"]
    assert DEADLINE_SECONDS < function["Timeout"] < 30
    brake = resources["Api"]["Properties"]["DefaultRouteSettings"]
    assert brake.keys() == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}


def test_the_brake_and_the_log_are_still_there_when_it_is_transformed() -> None:
    """A misspelt one would vanish without a word."""
    (stage,) = [
        each["Properties"]
        for each in transformed(written())["Resources"].values()
        if each["Type"] == "AWS::ApiGatewayV2::Stage"
    ]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
    }
    assert stage["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": ["ApiLog", "Arn"]}


def test_every_alarm_is_heard() -> None:
    """Whoever gave an address."""
    alarms = [
        each["Properties"]
        for each in written()["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert len(alarms) == 6
    assert all(alarm["AlarmActions"] == [{"Ref": "Alarms"}] for alarm in alarms)


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    """And finds what is wrong."""
    assert lint(FILE) == []
    wrong = tmp_path / "template.yaml"
    wrong.write_text(FILE.read_text().replace("DeletionPolicy: Delete", "DeletionPolicy: Remove"))
    assert lint(wrong) != []


def test_the_linter_finds_nothing_in_what_is_deployed(tmp_path: Path) -> None:
    """Where it sees more: of a serverless function it looks at little."""
    made = tmp_path / "made.json"
    made.write_text(json.dumps(transformed(written())))
    assert lint(made) == []
    made.write_text(made.read_text().replace("arm64", "arm65"))
    assert lint(made) != []


def lint(file: Path) -> list[str]:
    """What cfn-lint says."""
    return [str(match) for match in lint_file(file, config=ManualArgs(regions=[REGION]))]

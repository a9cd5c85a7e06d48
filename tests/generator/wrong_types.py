#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A message of the wrong type does not compile, in none of the functions that take one for the event bus; of the right type it does.

    wrong_types.py PLUGIN NANOPB_PLUGIN INCLUDE NANOPB_INCLUDE MESSAGES_DIR CC [CXX]
"""
import sys
import tempfile

import compile  # pylint: disable=redefined-builtin
import golden

TEXT = """#include "messages.msgsrv.h"
static void on_event(msgsrv_bus *bus, const {type} *message, const msgsrv_event *event, void *ctx)
{{
    (void)bus, (void)message, (void)event, (void)ctx;
}}
static msgsrv_status on_message(msgsrv_bus *bus, const {type} *message, const msgsrv_delivery *delivery, void *ctx)
{{
    (void)bus, (void)message, (void)delivery, (void)ctx;
    return MSGSRV_OK;
}}
void use(msgsrv_bus *bus, const {type} *message, {type} *out, const msgsrv_event *event);
void use(msgsrv_bus *bus, const {type} *message, {type} *out, const msgsrv_event *event)
{{
    messages_AddRequest_subscriber subscriber;
    messages_AddRequest_consumer consumer;
    (void)bus, (void)message, (void)out, (void)event, (void)subscriber, (void)consumer, (void)on_event, (void)on_message;
    {use};
}}
"""
USES = ("subscriber.event = on_event", "consumer.message = on_message",
        'messages_AddRequest_publish(bus, "t", message, 0, 0, 0)',
        'messages_AddRequest_publish_async(bus, "t", message, 0, 0, 0, 0)',
        'messages_AddRequest_request(bus, "t", message, 0, 0, 0, 0, 0)',
        "messages_AddRequest_reply(bus, 1, message, 0, 0, 0)", "messages_AddRequest_from_event(event, out, 0)")
# What C++ refuses anyway, C only warns of; whoever has no such warning on is not helped.
COMPLAINT = "messages_AddResponse"


def check(command, language):
    """What one compiler does with each use of the right type and of a wrong one."""
    for use in USES:
        right = compile.run(command, TEXT.format(type="messages_AddRequest", use=use))
        wrong = compile.run(command, TEXT.format(type="messages_AddResponse", use=use))
        if right:
            yield f"{language}: {use}: does not compile with the right type: {right}"
        if COMPLAINT not in wrong:
            yield f"{language}: {use}: compiles with the wrong type, or fails of something else: {wrong}"


def main():
    plugin, nanopb_plugin, include, nanopb_include, messages_dir, compiler, *cxx = sys.argv[1:]
    with tempfile.TemporaryDirectory() as out:
        golden.generate_all(plugin, out, messages_dir)
        compile.generate_nanopb(nanopb_plugin, out, messages_dir)
        paths = ["-I", out, "-I", include, "-isystem", nanopb_include, "-DPB_ENABLE_MALLOC=1", "-fsyntax-only"]
        problems = list(check([compiler, "-std=c99", "-Werror", *paths, "-x", "c", "-"], "C"))
        if cxx:
            problems += check([*cxx, "-std=c++17", *paths, "-x", "c++", "-"], "C++")
    print(*problems, f"{len(USES)} uses", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

/* SPDX-License-Identifier: MIT */
/*
 * What msgsrv-client --help prints.
 */
#include "options.h"

#include <stdio.h>

#include "url.h"

static const char COMMANDS[] =
    "Usage: msgsrv-client [OPTION]... COMMAND [ARGUMENT]...\n"
    "Asks a server what it serves and how it is, calls its methods, and uses its event bus.\n\n"
    "  list [NAME]       print the services, or the methods of a service\n"
    "  describe NAME     print a service, method, message or enum as .proto source\n"
    "  call METHOD [JSON|-]\n"
    "                    call a method; JSON is the request [{}]; with - standard input, of which each\n"
    "                    line is a message when the method takes a stream\n"
    "  health [SERVICE]  print whether the server, or a service of it, can work\n"
    "  stats             print what the server counts\n"
    "  add A B           print the sum of two int32\n"
    "  echo TEXT|-       print the text that comes back; with - all of standard input, as it is\n"
    "  ping              measure round trips\n"
    "  bench             measure throughput and latency of calls\n\n";

static const char BUS_COMMANDS[] =
    "The event bus:\n"
    "  pub TOPIC JSON|-  publish an event; with - one for each line of standard input\n"
    "  sub [PATTERN]     print events as they come [all topics]\n"
    "  topics [PATTERN]  print the topics: types, who publishes, who listens\n"
    "  hz TOPIC          print how many events a second a topic has\n"
    "  bw TOPIC          print how many bytes a second a topic has\n"
    "  doctor TOPIC      print why nothing arrives on a topic\n"
    "  top [PATTERN]     show topics and queues until interrupted\n"
    "  queues [NAME]     print the queues\n"
    "  queue declare|peek|purge|delete NAME\n"
    "                    make a queue, print what it holds, throw that away, or the queue itself\n"
    "  consume QUEUE     take messages from a queue: print and acknowledge each\n"
    "  dlq list|purge QUEUE, dlq retry QUEUE [ID]\n"
    "                    print a queue's dead letters, throw them away, or put them back\n"
    "  bench pubsub      measure throughput and latency of events\n\n"
    "  --server URL      " APP_URL_FORMS ";\n"
    "                    of any server of gRPC: grpc://host:port or grpc+unix:///path\n"
    "                    [MSGSRV_SERVER, or " OPTIONS_DEFAULT_SERVER "]\n"
    "  --timeout TIME    of a call, such as 500ms, 5s or 2m [30s; a stream's: none]\n"
    "  --json            print JSON, one value a line\n"
    "  --help, --version print this, or the version\n\n";

static const char OPTIONS[] =
    "list:\n"
    "  --long            print what methods take and return, too\n\n"
    "call:\n"
    "  --metadata KEY=VALUE\n"
    "                    send metadata, may be repeated; base64 if KEY ends in -bin\n"
    "  --headers         print the metadata that comes back on standard error\n\n"
    "health, stats and topics:\n"
    "  --watch           print changes, or a table, until interrupted\n\n"
    "stats, topics, top, hz and bw:\n"
    "  --interval TIME   between two samples [1s]\n\n"
    "add and echo:\n"
    "  --plain           send a bare ClientMessage and read a bare ServerMessage, without the library\n\n"
    "ping:\n"
    "  --count N         how many [5]\n"
    "  --interval TIME   between two of them [200ms]\n\n"
    "bench:\n"
    "  --connections N   connections [1]\n"
    "  --outstanding N   open calls of each [16]; of pubsub, events without an answer [1000]\n"
    "  --seconds SECONDS how long, such as 5 or 0.25 [5]\n"
    "  --method METHOD   add or echo [add]\n"
    "  --payload SIZE    of an echoed text, such as 4096 or 64KiB [64]\n"
    "  --size SIZE       of pubsub's events, from 16 [64]\n"
    "  --subscribers N   of pubsub [1]\n\n";

static const char BUS_OPTIONS[] =
    "pub, sub, queue declare and doctor:\n"
    "  --type TYPE       of the events [pub: the topic's own]; of queue declare, may be repeated\n\n"
    "pub:\n"
    "  --header KEY=VALUE\n"
    "                    send a header, may be repeated; base64 if KEY ends in -bin\n"
    "  --retain N        have the topic keep its last N events for those who subscribe later\n"
    "  --id ID           by which queues recognise a second publication\n"
    "  --ttl TIME        in queues, it expires after this\n"
    "  --delay TIME      in queues, it is not delivered before\n\n"
    "sub:\n"
    "  --group NAME      share the events with the others of this group\n"
    "  --last N*         retained events of each topic that come first [all]\n"
    "  --policy POLICY   of a full queue: drop-oldest, drop-newest, latest or disconnect [drop-oldest]\n"
    "  --max-events N    that may wait [1024]\n"
    "  --max-bytes SIZE  the same in bytes [8MiB]\n\n"
    "sub, consume, hz, bw, queue peek and dlq list:\n"
    "  --count N         end after so many\n\n"
    "consume:\n"
    "  --nak, --reject   give each back, or have it be a dead letter\n"
    "  --delay TIME      of --nak: not again before [1s]\n"
    "  --reason TEXT     of --nak and --reject: why\n"
    "  --prefetch N      messages that may be with us [256]\n\n"
    "queue declare:\n"
    "  --pattern PATTERN the topics it takes, may be repeated [the topic of its own name]\n"
    "  --max-messages N, --max-bytes SIZE\n"
    "                    that it may hold [10000, 64MiB]\n"
    "  --drop-oldest     when it is full, instead of refusing what is published\n"
    "  --ack-wait TIME   after which a message without an answer comes again [30s]\n"
    "  --max-deliver N*  deliveries before it is a dead letter [5]\n"
    "  --ttl TIME        of messages without one of their own [none]\n"
    "  --no-dead-letters drop what would be one\n"
    "  --max-dead-letters N\n"
    "                    that are kept [10000]\n"
    "  --dedup-time TIME*, --dedup-ids N\n"
    "                    for how long, and how many ids, are recognised [2m, 100000]\n\n"
    "doctor:\n"
    "  --long            print who publishes and who subscribes, too\n\n"
    "* may be 'none'.\n"
    "Exit status: 0, the status code (1 to 16) of the call that failed, 64 for wrong usage,\n"
    "74 when standard input or output fails. health: 14 unless it is SERVING. doctor: 1 when something is\n"
    "wrong. See msgsrv-client(1).\n";

int options_help(void)
{
    static char room[sizeof COMMANDS + sizeof BUS_COMMANDS + sizeof OPTIONS + sizeof BUS_OPTIONS];
    setvbuf(stdout, room, _IOFBF, sizeof room); /* one write, whose failure is then known */
    fputs(COMMANDS, stdout);
    fputs(BUS_COMMANDS, stdout);
    fputs(OPTIONS, stdout);
    fputs(BUS_OPTIONS, stdout);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * What msgsrv-client --help prints.
 */
#include "options.h"

#include <stdio.h>

#include "url.h"

int options_help(void)
{
    fputs("Usage: msgsrv-client [OPTION]... COMMAND [ARGUMENT]...\n"
          "Asks a server what it serves and how it is, and calls its methods.\n\n"
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
          "  bench             measure throughput and latency\n\n"
          "  --server URL      " APP_URL_FORMS "\n"
          "                    [MSGSRV_SERVER, or " OPTIONS_DEFAULT_SERVER "]\n"
          "  --timeout TIME    of a call, such as 500ms, 5s or 2m [30s; a stream's: none]\n"
          "  --json            print JSON, one value a line\n"
          "  --help, --version print this, or the version\n\n",
          stdout);
    fputs("list:\n"
          "  --long            print what methods take and return, too\n\n"
          "call:\n"
          "  --metadata KEY=VALUE\n"
          "                    send metadata, may be repeated; base64 if KEY ends in -bin\n"
          "  --headers         print the metadata that comes back on standard error\n\n"
          "health and stats:\n"
          "  --watch           print changes, or a table, until interrupted\n\n"
          "stats:\n"
          "  --interval TIME   of --watch [1s]\n\n"
          "add and echo:\n"
          "  --plain           send a bare ClientMessage and read a bare ServerMessage, without the library\n\n"
          "ping:\n"
          "  --count N         how many [5]\n"
          "  --interval TIME   between two of them [200ms]\n\n"
          "bench:\n"
          "  --connections N   connections [1]\n"
          "  --outstanding N   open calls of each [16]\n"
          "  --seconds SECONDS how long, such as 5 or 0.25 [5]\n"
          "  --method METHOD   add or echo [add]\n"
          "  --payload SIZE    of an echoed text, such as 4096 or 64KiB [64]\n\n"
          "Exit status: 0, the status code (1 to 16) of the call that failed, 64 for wrong usage,\n"
          "74 when standard input or output fails. health: 14 unless it is SERVING. See msgsrv-client(1).\n",
          stdout);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * /metrics: what a server counts, for Prometheus. Names end in their unit, counters in _total; times are seconds. A method is shown when it has
 * been called, and at most METHODS_MAX of them, so that the page is bounded.
 */
#include "services/metrics.h"

#include <stdio.h>
#include <string.h>

#include <msgsrv/version.h>

#include "services/internal.h"

#define METHODS_MAX 1000u

static const msi_label none = {NULL, NULL};

static void put_connections(msi_metrics *to, const msgsrv_stats *stats)
{
    msi_metrics_counter(to, "msgsrv_connections_accepted_total", "Connections taken on.", stats->connections_accepted);
    msi_metrics_gauge(to, "msgsrv_connections_open", "Connections that are open.", stats->connections_open);
    msi_metrics_counter(to, "msgsrv_received_bytes_total", "Bytes read from sockets.", stats->bytes_received);
    msi_metrics_counter(to, "msgsrv_sent_bytes_total", "Bytes written to sockets.", stats->bytes_sent);
    msi_metrics_gauge(to, "msgsrv_input_buffered_bytes", "Input that is not whole, or waits behind back-pressure.",
                      stats->input_buffered_bytes);
    msi_metrics_gauge(to, "msgsrv_output_buffered_bytes", "Output that waits for slow readers.",
                      stats->output_buffered_bytes);
    msi_metrics_counter(to, "msgsrv_reads_paused_total", "How often reading stopped for back-pressure.",
                        stats->reads_paused);
    msi_metrics_counter(to, "msgsrv_frames_without_effect_total", "Frames that were skipped.",
                        stats->frames_without_effect);
    msi_metrics_counter(to, "msgsrv_pings_total", "Pings answered.", stats->pings);
    msi_metrics_family(to, "msgsrv_refused_total", "counter", "What was refused, by reason.");
    for (unsigned i = 0; i < MSGSRV_REFUSAL_COUNT; i++)
        msi_metrics_number(to, "", (msi_label){"reason", msgsrv_refusal_name((msgsrv_refusal)i)}, none,
                           stats->refused[i]);
}

static void put_streams(msi_metrics *to, const msgsrv_stats *stats)
{
    msi_metrics_gauge(to, "msgsrv_calls_open", "Calls that are not answered.", stats->calls_open);
    msi_metrics_counter(to, "msgsrv_plain_calls_total", "Calls that came as plain messages.", stats->plain_calls);
    msi_metrics_gauge(to, "msgsrv_streams_open", "Calls that stream.", stats->streams_open);
    msi_metrics_counter(to, "msgsrv_stream_items_received_total", "Messages of streams.", stats->items_received);
    msi_metrics_counter(to, "msgsrv_stream_items_sent_total", "Messages of streams.", stats->items_sent);
    msi_metrics_counter(to, "msgsrv_stream_sends_refused_total", "Sends that had to wait for credit or output.",
                        stats->sends_refused);
    msi_metrics_gauge(to, "msgsrv_stream_input_items", "Messages of streams that wait to be handled.",
                      stats->stream_input_items);
    msi_metrics_gauge(to, "msgsrv_stream_input_bytes", "Their bytes.", stats->stream_input_bytes);
}

static void put_server(msi_metrics *to, const msgsrv_server *server)
{
    msgsrv_stats stats = {.size = sizeof stats};
    msgsrv_server_stats(server, &stats);
    msi_metrics_family(to, "msgsrv_build_info", "gauge", "The version of the library; always 1.");
    msi_metrics_number(to, "", (msi_label){"version", msgsrv_version()}, none, 1);
    msi_metrics_family(to, "msgsrv_uptime_seconds", "gauge", "Time since the start.");
    msi_metrics_real(to, "", none, none, (double)stats.uptime_ms / 1e3);
    msi_metrics_gauge(to, "msgsrv_draining", "1 when the server drains.", msgsrv_server_draining(server));
    msi_metrics_family(to, "msgsrv_loop_latency_seconds", "gauge", "How late the last tick of the latest loop was.");
    msi_metrics_real(to, "", none, none, (double)stats.loop_latency_last_us / 1e6);
    msi_metrics_family(to, "msgsrv_loop_latency_max_seconds", "gauge", "How late the latest tick ever was.");
    msi_metrics_real(to, "", none, none, (double)stats.loop_latency_max_us / 1e6);
    put_connections(to, &stats);
    put_streams(to, &stats);
}

/* ---- methods ---- */

/* Writes one family for every method that was called. */
static void each_method(msi_metrics *to, const msi_method_stats *methods,
                        void (*put)(msi_metrics *to, msi_label method, const msi_method_counts *counts))
{
    size_t shown = 0;
    for (size_t i = 0; i < msi_method_stats_count(methods) && shown < METHODS_MAX; i++) {
        msi_method_counts counts;
        msi_method_stats_read(methods, i, &counts);
        if (!counts.started)
            continue;
        put(to, (msi_label){"method", counts.path}, &counts);
        shown++;
    }
}

static void put_started(msi_metrics *to, msi_label method, const msi_method_counts *counts)
{
    msi_metrics_number(to, "", method, none, counts->started);
}

static void put_ended(msi_metrics *to, msi_label method, const msi_method_counts *counts)
{
    for (unsigned i = 0; i < MSGSRV_STATUS_COUNT; i++) {
        if (counts->ended[i])
            msi_metrics_number(to, "", method, (msi_label){"status", msgsrv_status_name((msgsrv_status)i)},
                               counts->ended[i]);
    }
}

static void put_received(msi_metrics *to, msi_label method, const msi_method_counts *counts)
{
    msi_metrics_number(to, "", method, none, counts->received);
}

static void put_sent(msi_metrics *to, msi_label method, const msi_method_counts *counts)
{
    msi_metrics_number(to, "", method, none, counts->sent);
}

/* A bound in seconds: "0.00001", without zeros at its end. */
static void bound_text(uint64_t us, char *text, size_t room)
{
    int size =
        snprintf(text, room, "%llu.%06llu", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
    while (size > 2 && text[size - 1] == '0' && text[size - 2] != '.')
        text[--size] = '\0';
}

/* Buckets are cumulative; the count is theirs, so that they agree while calls end. */
static void put_duration(msi_metrics *to, msi_label method, const msi_method_counts *counts)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < MSI_DURATION_BOUNDS; i++) {
        char bound[32];
        bound_text(msi_duration_bounds_us[i], bound, sizeof bound);
        sum += counts->durations[i];
        msi_metrics_number(to, "_bucket", method, (msi_label){"le", bound}, sum);
    }
    sum += counts->durations[MSI_DURATION_BOUNDS];
    msi_metrics_number(to, "_bucket", method, (msi_label){"le", "+Inf"}, sum);
    msi_metrics_real(to, "_sum", method, none, (double)counts->duration_total_ns / 1e9);
    msi_metrics_number(to, "_count", method, none, sum);
}

static void put_methods(msi_metrics *to, const msi_method_stats *methods)
{
    msi_metrics_family(to, "msgsrv_calls_started_total", "counter", "Calls that have begun.");
    each_method(to, methods, put_started);
    msi_metrics_family(to, "msgsrv_calls_total", "counter", "Calls that have ended, by status.");
    each_method(to, methods, put_ended);
    msi_metrics_family(to, "msgsrv_messages_received_total", "counter", "Messages of calls that have ended.");
    each_method(to, methods, put_received);
    msi_metrics_family(to, "msgsrv_messages_sent_total", "counter", "Messages of calls that have ended.");
    each_method(to, methods, put_sent);
    msi_metrics_family(to, "msgsrv_call_duration_seconds", "histogram", "How long calls took.");
    each_method(to, methods, put_duration);
}

void msi_metrics_fill(msi_metrics *to, const msgsrv_server *server, const msi_method_stats *methods)
{
    put_server(to, server);
    put_methods(to, methods);
    for (msi_server_kept *kept = msi_server_first_kept(server); kept; kept = kept->next) {
        if (kept->measure)
            kept->measure(kept, to);
    }
}

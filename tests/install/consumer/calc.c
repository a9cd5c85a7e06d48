/* SPDX-License-Identifier: MIT */
/*
 * A program that uses the installed library: a server in threads of its own, and a client that calls it once.
 */
#include <stdio.h>
#include <string.h>

#include <msgsrv/msgsrv.h>

#include "calc.msgsrv.h"

static msgsrv_status multiply(msgsrv_call *call, const calc_Pair *request, calc_Product *response, void *ctx)
{
    (void)ctx;
    if (__builtin_mul_overflow(request->a, request->b, &response->value))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "the product does not fit int64");
    response->unit = request->unit;
    return MSGSRV_OK;
}

static msgsrv_status serve(msgsrv_server *server, msgsrv_error *error)
{
    static const calc_Calc_service calc = {.Multiply = multiply};
    msgsrv_status status = calc_Calc_register(server, &calc, NULL, error);

    if (!status)
        status = msgsrv_server_listen(server, "tcp://127.0.0.1:0", error);
    return status ? status : msgsrv_server_start(server, error);
}

static msgsrv_status call(const char *url, msgsrv_error *error)
{
    char unit[] = "apples";
    calc_Pair pair = {.a = 6, .b = 7, .unit = unit};
    calc_Product product = calc_Product_init_zero;
    msgsrv_client *client = NULL;
    msgsrv_status status = msgsrv_client_new(url, NULL, &client, error);

    if (!status)
        status = calc_Calc_Multiply(client, &pair, NULL, &product, error);
    if (!status)
        printf("%lld %s\n", (long long)product.value, product.unit);
    calc_Product_release(&product);
    msgsrv_client_free(client);
    return status;
}

int main(void)
{
    msgsrv_server *server = NULL;
    msgsrv_error error;
    msgsrv_status status = msgsrv_server_new(NULL, &server, &error);

    if (!status)
        status = serve(server, &error);
    if (!status)
        status = call(msgsrv_server_address(server, 0), &error);
    if (status)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(status), error.text);
    msgsrv_server_free(server);
    return status || strcmp(msgsrv_version(), MSGSRV_VERSION) != 0;
}

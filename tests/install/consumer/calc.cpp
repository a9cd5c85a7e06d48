/* SPDX-License-Identifier: MIT */
/*
 * The same program as calc.c in C++: the public headers and the generated ones are C++ too.
 */
#include <cstdio>
#include <cstring>
#include <memory>

#include <msgsrv/msgsrv.h>

#include "calc.msgsrv.h"

static msgsrv_status multiply(msgsrv_call *call, const calc_Pair *request, calc_Product *response, void *)
{
    if (__builtin_mul_overflow(request->a, request->b, &response->value))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "the product does not fit int64");
    response->unit = request->unit;
    return MSGSRV_OK;
}

static msgsrv_status run(msgsrv_error *error)
{
    msgsrv_server *raw_server = nullptr;
    msgsrv_client *raw_client = nullptr;
    calc_Calc_service calc{};
    calc_Pair pair{};
    calc_Product product{};
    char unit[] = "apples";

    calc.Multiply = multiply;
    pair.a = 6;
    pair.b = 7;
    pair.unit = unit;
    if (msgsrv_status status = msgsrv_server_new(nullptr, &raw_server, error))
        return status;
    std::unique_ptr<msgsrv_server, decltype(&msgsrv_server_free)> server(raw_server, msgsrv_server_free);
    if (msgsrv_status status = calc_Calc_register(server.get(), &calc, nullptr, error))
        return status;
    if (msgsrv_status status = msgsrv_server_listen(server.get(), "tcp://127.0.0.1:0", error))
        return status;
    if (msgsrv_status status = msgsrv_server_start(server.get(), error))
        return status;
    if (msgsrv_status status = msgsrv_client_new(msgsrv_server_address(server.get(), 0), nullptr, &raw_client, error))
        return status;
    std::unique_ptr<msgsrv_client, decltype(&msgsrv_client_free)> client(raw_client, msgsrv_client_free);
    if (msgsrv_status status = calc_Calc_Multiply(client.get(), &pair, nullptr, &product, error))
        return status;
    std::printf("%lld %s\n", static_cast<long long>(product.value), product.unit);
    calc_Product_release(&product);
    return MSGSRV_OK;
}

int main()
{
    msgsrv_error error;
    msgsrv_status status = run(&error);

    if (status)
        std::fprintf(stderr, "%s: %s\n", msgsrv_status_name(status), error.text);
    return status || std::strcmp(msgsrv_version(), MSGSRV_VERSION) != 0;
}

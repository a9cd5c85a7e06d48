/* SPDX-License-Identifier: MIT */
/* rpc/methods.c: methods are found by their whole path, and a service is added as a whole or not at all. */
#include "rpc/methods.h"

#include <string.h>

#include "messages.msgsrv.h"
#include "shapes.msgsrv.h"
#include "suite.h"

static const msi_method *find(const msi_methods *methods, const char *path)
{
    return msi_methods_find(methods, (const uint8_t *)path, strlen(path));
}

START_TEST(methods_are_found_by_their_whole_path)
{
    static const messages_Demo_service demo = {.Echo = NULL};
    static const shapes_Shapes_service shapes = {.Mirror = NULL};
    static const char *const none[] = {"",
                                       "/",
                                       "/messages.Demo/",
                                       "/messages.Demo/Ad",
                                       "/messages.Demo/Addd",
                                       "messages.Demo/Add",
                                       "/messages.Demo/add",
                                       "/messages.Demo",
                                       "/z"};
    msi_methods methods = {0};
    ck_assert_ptr_null(find(&methods, "/messages.Demo/Add"));
    ck_assert_int_eq(msi_methods_add(&methods, &shapes_Shapes_description, &shapes, NULL, NULL), MSGSRV_OK);
    ck_assert_int_eq(msi_methods_add(&methods, &messages_Demo_description, &demo, NULL, NULL), MSGSRV_OK);
    ck_assert_uint_eq(methods.count, messages_Demo_description.method_count + shapes_Shapes_description.method_count);
    for (size_t i = 0; i < shapes_Shapes_description.method_count; i++) {
        const msgsrv_method *method = shapes_Shapes_description.methods[i].method;
        ck_assert_ptr_eq(find(&methods, method->path)->description, method);
    }
    ck_assert_ptr_eq(find(&methods, "/messages.Demo/Add")->description, &messages_Demo_Add_method);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_ptr_null(find(&methods, none[i]));
    ck_assert_ptr_null(msi_methods_find(&methods, (const uint8_t *)"/messages.Demo/Add", 17));
    msi_methods_release(&methods);
}
END_TEST

START_TEST(a_service_that_does_not_fit_adds_nothing)
{
    static const messages_Demo_service demo = {.Echo = NULL};
    msi_methods methods = {0};
    msgsrv_method streaming = messages_Demo_Add_method;
    msgsrv_service_method changed[2] = {messages_Demo_description.methods[0], messages_Demo_description.methods[1]};
    msgsrv_service service = messages_Demo_description;
    streaming.kind = MSGSRV_BIDI_STREAMING + 1;
    changed[1].method = &streaming;
    service.methods = changed;
    service.method_count = 2;
    ck_assert_int_eq(msi_methods_add(&methods, &service, &demo, NULL, NULL), MSGSRV_INVALID_ARGUMENT);
    ck_assert_uint_eq(methods.count, 0);
    ck_assert_int_eq(msi_methods_add(&methods, &messages_Demo_description, &demo, NULL, NULL), MSGSRV_OK);
    ck_assert_int_eq(msi_methods_add(&methods, &messages_Demo_description, &demo, NULL, NULL), MSGSRV_ALREADY_EXISTS);
    ck_assert_uint_eq(methods.count, messages_Demo_description.method_count);
    msi_methods_release(&methods);
}
END_TEST

TS_MAIN("methods", methods_are_found_by_their_whole_path, a_service_that_does_not_fit_adds_nothing)

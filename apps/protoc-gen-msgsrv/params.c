/* SPDX-License-Identifier: MIT */
/*
 * The plugin's parameters; see params.h.
 */
#include <string.h>

#include "params.h"

static size_t count_commas(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

/* Whether a parameter has this name; then also its value. */
static const char *value_of(const char *parameter, const char *name)
{
    size_t size = strlen(name);

    return strncmp(parameter, name, size) == 0 && parameter[size] == '=' ? parameter + size + 1 : NULL;
}

static const char *parse_one(msi_arena *arena, const char *parameter, msi_params *params)
{
    const char *value;

    if ((value = value_of(parameter, "options_path")) != NULL && *value != '\0') {
        params->options_paths[params->options_path_count++] = value;
        return NULL;
    }
    if ((value = value_of(parameter, "setting")) != NULL && *value != '\0') {
        params->settings[params->setting_count++] = value;
        return NULL;
    }
    if ((value = value_of(parameter, "options")) != NULL && *value != '\0') {
        if (params->options_file != NULL)
            return "the parameter options=FILE was given twice";
        params->options_file = value;
        return NULL;
    }
    return msi_arena_printf(arena,
                            "unknown parameter \"%s\"; there are options_path=DIR, options=FILE and "
                            "setting=NAME:VALUE",
                            parameter);
}

const char *msi_params_parse(msi_arena *arena, const char *text, msi_params *params)
{
    const char *problem = NULL;
    size_t most;

    memset(params, 0, sizeof *params);
    if (text == NULL || *text == '\0')
        return NULL;
    most = count_commas(text) + 1;
    params->options_paths = msi_arena_array(arena, most, sizeof *params->options_paths);
    params->settings = msi_arena_array(arena, most, sizeof *params->settings);
    while (problem == NULL && *text != '\0') {
        size_t size = strcspn(text, ",");

        if (size > 0)
            problem = parse_one(arena, msi_arena_text(arena, text, size), params);
        text += size + (text[size] == ',');
    }
    return problem;
}

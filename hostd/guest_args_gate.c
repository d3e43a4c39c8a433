/* What the gate alone asks of the arguments. */
#include <stdlib.h>
#include <string.h>

#include "hostd/guest_args.h"

uint64_t hf_guest_args_run(const char *args, size_t len)
{
    static const char head[] = "name=" HF_GUEST_RUN_KEY ",string=";
    if (len == 0 || args[len - 1] != '\0')
        return 0;
    for (const char *v = args; (v = hf_guest_args_next(args, len, v, "-fw_cfg")) != NULL;) {
        const char *digits = v + sizeof head - 1;
        if (strncmp(v, head, sizeof head - 1) != 0 || digits[0] < '0' || digits[0] > '9')
            continue;
        char *end;
        unsigned long long run = strtoull(digits, &end, 10);
        return *end == '\0' ? run : 0;
    }
    return 0;
}

bool hf_guest_args_incoming(const char *args, size_t len)
{
    return len > 0 && args[len - 1] == '\0' && hf_guest_args_next(args, len, args, "-incoming") != NULL;
}

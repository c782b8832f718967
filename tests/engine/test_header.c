/* The public header must compile first and alone; the program checks what the compiler cannot. */
#include "framegate.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    unsigned major = 0, minor = 0, patch = 0;
    if (sscanf(FG_VERSION_STRING, "%u.%u.%u", &major, &minor, &patch) != 3) return 1;
    if (fg_version() != (major << 16 | minor << 8 | patch)) return 2;
    for (int status = FG_OK; status <= FG_ERR_STATE; status++) {
        if (strncmp(fg_status_name((fg_status)status), "FG_", 3) != 0) return 3;
        if (strlen(fg_status_message((fg_status)status)) == 0) return 4;
    }
    fg_config config;
    fg_config_init(&config);
    if (config.struct_bytes != sizeof config || config.threads != 1) return 5;
    puts("header: ok");
    return 0;
}

// The public header must compile first and alone as C++, and its functions must have C names.
#include "framegate.h"

int main()
{
    fg_config config;
    fg_config_init(&config);
    return config.threads == 1 ? 0 : 1;
}

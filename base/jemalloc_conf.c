/* What jemalloc reads at the start of a program that is linked with it (jemalloc(3), "TUNING"). One loop allocates nearly
 * everything: one arena, not four per processor, keeps an idle process small. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1";

/* Programmer errors end the process, also in release builds. The outside world gets a status instead. */
#ifndef HF_BASE_ASSERT_H
#define HF_BASE_ASSERT_H

__attribute__((noreturn)) void hf_assert_failed(const char *expr, const char *file, int line);

#define HF_ASSERT(expr) ((expr) ? (void)0 : hf_assert_failed(#expr, __FILE__, __LINE__))

/* Where no path leads: text says what would have to be true to be here. */
#define HF_NEVER(text) hf_assert_failed(text, __FILE__, __LINE__)

#endif

/* Programmer errors end the process, also in release builds. The outside world gets a status instead. */
#ifndef HF_BASE_ASSERT_H
#define HF_BASE_ASSERT_H

__attribute__((noreturn)) void hf_assert_failed(const char *expr, const char *file, int line);

#define HF_ASSERT(expr) ((expr) ? (void)0 : hf_assert_failed(#expr, __FILE__, __LINE__))

#endif

/*
 * types/kernel_lists.c: the kernel tables of this module, for registry_init.
 */
#include "types/kernels.h"

extern const KernelList arith_kernel_list, float_kernel_list, num_kernel_list, compare_kernel_list, text_kernel_list,
    array_kernel_list, datetime_kernel_list, like_kernel_list, regex_kernel_list;

const KernelList *const kernel_lists[] = {
    &arith_kernel_list, &float_kernel_list,    &num_kernel_list,  &compare_kernel_list, &text_kernel_list,
    &array_kernel_list, &datetime_kernel_list, &like_kernel_list, &regex_kernel_list,   NULL,
};

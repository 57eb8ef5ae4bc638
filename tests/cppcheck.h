#ifndef TESTS_CPPCHECK_H
#define TESTS_CPPCHECK_H

#include <jansson.h>

/* What cppcheck, which is not shown jansson's header, must know of it. */
#ifndef json_object_foreach
#define json_object_foreach(object, key, value)                                \
	for (key = 0, value = object; key; key++)
#define json_array_foreach(array, index, value)                                \
	for (index = 0, value = array; index < 1; index++)
#endif

#endif

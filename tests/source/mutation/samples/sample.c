/* Made for the mutation tests: every construct that the operators know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 10

struct inventory {
    int *items;
    int count;
    int capacity;
    struct inventory *next;
};

static int add(struct inventory *stock, int item, int amount)
{
    /* never more than fits */
    if (stock == NULL || amount <= 0) {
        return -1;
    }
    if (stock->count + amount > stock->capacity && item != 0)
        return 0;
    for (int i = 0; i < amount; i++) {
        stock->items[stock->count] = item;
        stock->count += 1;
    }
    return 1;
}

int binary_search(const int *values, int length, int wanted)
{
    int low = 0;
    int high = length - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        if (values[middle] == wanted) {
            return middle;
        }
        if (values[middle] < wanted)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return -1;
}

static long window_sum(const int values[], int length, int start, int size)
{
    long sum = 0;
    if (start < 0 || start + size > length) {
        fprintf(stderr, "bad window %d\n", start);
        return 0;
    }
    for (int offset = start; offset < start + size; ++offset)
        sum += values[offset];
    return sum;
}

int first_even(const int *values, int length, int fallback)
{
    int found = fallback;
    for (int i = 0; i < length; i++) {
        if (values[i] % 2 != 0) {
            continue;
        }
        if (values[i] < 0 || values[i] > LIMIT) {
            break;
        }
        found = values[i];
    }
    return found;
}

char *copy(const char *text, size_t length)
{
    char *target = malloc(length + 1);
    if (!target) {
        return NULL;
    }
    memcpy(target, text, length);
    target[length] = 0;
    return target;
}

static double area(double width, double height)
{
    double border = 0.25;
    double inner = (width - 2 * border) * (height - 2 * border);
    double outer = width * height;
    return outer > inner ? outer - inner : 0.5;
}

void release(struct inventory *stock, FILE *log_file)
{
    struct inventory *next = NULL;
    int released = 0;
    do {
        next = stock->next;
        free(stock->items);
        free(stock);
        stock = next;
        released++;
    } while (stock != NULL && released < LIMIT);
    if (!(released > 0 && next == NULL))
        goto done;
    fclose(log_file);
done:
    printf("%d\n", released);
}

int score(int kind, int weight)
{
    int total = weight;
    switch (kind) {
    case 1:
        total = weight * 2 + 1;
        break;
    case 2:
        total = -weight;
        break;
    default:
        return 0;
    }
    return total - (weight - 3);
}

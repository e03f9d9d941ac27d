"""Made for the mutation tests: small routines that together hold every construct the operators know."""

import asyncio

LIMIT = 10


class Inventory:
    """Items with amounts."""

    def __init__(self, name, capacity=5, strict=True):
        self.name = name
        self.capacity = capacity
        self.items = {}
        self.strict = strict

    def add(self, item, amount=1):
        # never more than fits
        if item is None or amount <= 0:
            raise ValueError(f"bad item {item}")
        if self.total() + amount > self.capacity and self.strict:
            return False
        self.items[item] = self.items.get(item, 0) + amount
        return True

    def total(self):
        total = 0
        for amount in self.items.values():
            total += amount
        return total

    def largest(self):
        best, best_amount = None, -1
        for item, amount in self.items.items():
            if amount > best_amount:
                best, best_amount = item, amount
        return best

    def names(self, prefix=""):
        return sorted(name.strip() for name in self.items if name.startswith(prefix) and not name.endswith("_"))


def binary_search(values, wanted):
    low, high = 0, len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] == wanted:
            return middle
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1


def windows(values, size, step=1):
    found = []
    for start in range(0, len(values) - size + 1, step):
        found.append(values[start : start + size])
    return found


def parse(line, separator=","):
    fields = line.split(separator)
    record = {"kind": fields[0], "value": 0.0}
    if record["kind"] == "number" and len(fields) > 1:
        record["value"] = float(fields[1]) * 0.5
    elif record["kind"] == "flag":
        record["value"] = fields[-1] == "yes"
    return record


def first_even(values, default=None):
    for value in values:
        if value % 2 != 0:
            continue
        if value < 0 or value > LIMIT:
            break
        return value
    print("nothing found", default)
    return default


def area(width, height, border=0.25):
    inner = (width - 2 * border) * (height - 2 * border)
    outer = width * height
    return outer - inner if outer > inner else 0


async def fetch(client, url, retries=3):
    attempt = 0
    while attempt < retries:
        response = await client.get(url, timeout=2.5)
        if response is not None and response.status == 200:
            body = await response.read()
            response.close()
            return body
        attempt += 1
        await asyncio.sleep(attempt * 2)
    return None


def merge(left, right):
    result = []
    i, j = 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            result.append(left[i])
            i += 1
        else:
            result.append(right[j])
            j += 1
    result.extend(left[i:] or right[j:])
    return result


def copy_lines(source, target, keep_blank=False):
    count = 0
    for line in source:
        if not (line.strip() or keep_blank):
            continue
        target.write(line, count)
        count += 1
    target.flush()
    assert count >= 0, "count"
    return count

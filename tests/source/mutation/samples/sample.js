// Made for the mutation tests: every construct that the operators know.

class Inventory {
  constructor(name, capacity = 5) {
    this.name = name;
    this.capacity = capacity;
    this.items = [];
  }

  add(item, amount) {
    if (item === null || amount <= 0) {
      throw new Error(`bad item ${item}`);
    }
    if (this.items.length + amount > this.capacity && this.name !== "any") {
      return false;
    }
    for (let i = 0; i < amount; i++) {
      this.items.push(item);
    }
    return true;
  }

  names(prefix) {
    return this.items.filter((item) => item.startsWith(prefix) && !item.endsWith("_")).slice(0, this.capacity - 1);
  }
}

function binarySearch(values, wanted) {
  let low = 0;
  let high = values.length - 1;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    if (values[middle] === wanted) {
      return middle;
    }
    if (values[middle] < wanted) {
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return -1;
}

const windows = (values, size) => {
  const sums = [];
  for (let start = 0; start <= values.length - size; start += 1) {
    let sum = 0;
    for (let offset = 0; offset < size; offset++) {
      sum += values[start + offset];
    }
    sums.push(sum);
  }
  return sums;
};

function firstEven(values, limit, fallback) {
  for (const value of values) {
    if (value % 2 !== 0) {
      continue;
    }
    if (value < 0 || value > limit) {
      break;
    }
    return value;
  }
  console.log("nothing found", fallback);
  return fallback;
}

function parse(line, separator) {
  const fields = line.split(separator);
  const record = { kind: fields[0], value: 0.5 };
  if (record["kind"] === "number" && fields.length > 1) {
    record["value"] = Number(fields[1]) * 2.5;
  } else if (record["kind"] === "flag") {
    record["value"] = fields[2] === "yes";
  }
  return record;
}

async function fetchAll(client, urls, retries) {
  const bodies = [];
  let attempt = 0;
  while (attempt < retries) {
    const response = await client.get(urls[attempt], retries);
    if (response !== undefined && response.ok) {
      bodies.push(await response.text());
      await response.close();
    }
    attempt += 1;
  }
  if (bodies.length === 0) {
    return null;
  }
  return bodies;
}

function area(width, height, border) {
  const inner = (width - 2 * border) * (height - 2 * border);
  const outer = width * height;
  return outer > inner ? outer - inner : 0;
}

function copyLines(source, target, keepBlank) {
  let count = 0;
  for (const line of source) {
    if (!(line.trim() || keepBlank)) {
      continue;
    }
    target.write(line, count);
    count += 1;
  }
  target.flush();
  return count;
}

module.exports = { Inventory, binarySearch, windows, firstEven, parse, fetchAll, area, copyLines };

// Made for the mutation tests: every construct that the operators know, with types.

interface Response {
  ok: boolean;
  text(): Promise<string>;
  close(): Promise<void>;
}

type Lookup = Map<string, number>;

export class Inventory<T> {
  private readonly items: T[] = [];
  private capacity: number;
  private strict: boolean;

  constructor(capacity: number, strict: boolean) {
    this.capacity = capacity;
    this.strict = strict;
  }

  add(item: T | null, amount: number): boolean {
    if (item === null || amount <= 0) {
      throw new Error(`bad item ${item}`);
    }
    if (this.items.length + amount > this.capacity && this.strict) {
      return false;
    }
    for (let i = 0; i < amount; i++) {
      this.items.push(item);
    }
    return true;
  }
}

export function binarySearch(values: number[], wanted: number): number {
  let low: number = 0;
  let high: number = values.length - 1;
  while (low <= high) {
    const middle: number = Math.floor((low + high) / 2);
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

export const windows = (values: number[], size: number): number[] => {
  const sums: number[] = [];
  for (let start = 0; start <= values.length - size; start += 1) {
    let sum = 0;
    for (let offset = 0; offset < size; offset++) {
      sum += values[start + offset];
    }
    sums.push(sum);
  }
  return sums;
};

function firstEven(values: number[], limit: number, fallback?: number): number | undefined {
  for (const value of values) {
    if (value % 2 !== 0) {
      continue;
    }
    if (value < 0 || value > limit) {
      break;
    }
    return value;
  }
  console.warn("nothing found", fallback);
  return fallback;
}

function quoted(text: string, quote: string, depth: number): boolean {
  if (depth > 3 || text.length < 2) {
    return false;
  }
  const inner: string = text.slice(1, text.length - 1);
  return text.startsWith(quote) && text.endsWith(quote) && inner !== "";
}

async function fetchAll(client: { get(url: string, tries: number): Promise<Response | undefined> }, urls: string[]) {
  const bodies: string[] = [];
  let attempt = 0;
  while (attempt < urls.length) {
    const response = await client.get(urls[attempt]!, 2);
    if (response !== undefined && response.ok) {
      bodies.push(await response.text());
      await response.close();
    }
    attempt += 1;
  }
  return bodies.length === 0 ? null : bodies;
}

function area(width: number, height: number, border = 0.25): number {
  const inner = (width - 2 * border) * (height - 2 * border);
  const outer = width * height;
  return outer > inner ? outer - inner : 0;
}

function tally(lines: string[], counts: Lookup, keepBlank: boolean): number {
  let total = 0;
  for (const line of lines) {
    if (!(line.trim() || keepBlank)) {
      continue;
    }
    counts.set(line, (counts.get(line) ?? 0) + 1);
    total += 1;
  }
  return total as number;
}

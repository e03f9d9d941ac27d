//! Made for the mutation tests: every construct that the operators know.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};

const LIMIT: i32 = 10;

pub struct Inventory {
    items: HashMap<String, usize>,
    capacity: usize,
    strict: bool,
}

impl Inventory {
    /// Never more than fits.
    pub fn add(&mut self, item: &str, amount: usize) -> Result<bool, String> {
        if item.is_empty() || amount == 0 {
            return Err(format!("bad item {}", item));
        }
        if self.total() + amount > self.capacity && self.strict {
            return Ok(false);
        }
        let before = self.items.get(item).copied().unwrap_or(0);
        self.items.insert(item.to_string(), before + amount);
        Ok(true)
    }

    fn total(&self) -> usize {
        let mut total = 0;
        for amount in self.items.values() {
            total += amount;
        }
        total
    }
}

fn binary_search(values: &[i32], wanted: i32) -> Option<usize> {
    let mut low = 0;
    let mut high = values.len();
    while low < high {
        let middle = (low + high) / 2;
        if values[middle] == wanted {
            return Some(middle);
        }
        if values[middle] < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    None
}

fn windows(values: &[i32], size: usize) -> Vec<i32> {
    let mut sums = Vec::new();
    for start in 0..values.len() - size + 1 {
        let mut sum = 0;
        for offset in 0..size {
            sum += values[start + offset];
        }
        sums.push(sum);
    }
    sums
}

fn first_even(values: &[i32], fallback: i32) -> i32 {
    for value in values {
        if value % 2 != 0 {
            continue;
        }
        if *value < 0 || *value > LIMIT {
            break;
        }
        return *value;
    }
    println!("nothing found {}", fallback);
    fallback
}

fn has_zero(values: &[i32], from: usize, to: usize) -> bool {
    let mut index = from;
    let mut steps = 0;
    while index < to {
        if steps > 100 {
            return false;
        }
        if values[index] == 0 {
            return true;
        }
        if values[index] < 0 {
            break;
        }
        index += 1;
        steps += 1;
    }
    false
}

fn area(width: f64, height: f64) -> f64 {
    let border = 0.25;
    let inner = (width - 2.0 * border) * (height - 2.0 * border);
    let outer = width * height;
    if outer > inner { outer - inner } else { 0.5 }
}

fn quoted(text: &str, quote: char, depth: i32) -> bool {
    if depth > 3 {
        return false;
    }
    let inner = &text[1..text.len() - 1];
    text.starts_with(quote) && text.ends_with(quote) && !(inner.is_empty() || depth < 0)
}

fn read(path: &str, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut data = Vec::new();
    file.read_to_end(&mut data)?;
    if data.len() > limit {
        data.truncate(limit);
    }
    drop(file);
    Ok(data)
}

async fn fetch(client: &Client, url: &str, tries: u32) -> Option<String> {
    let response = client.get(url, tries).await;
    if response.is_none() {
        return None;
    }
    let shift = |value: u32, by: u32| value - by - 1;
    match shift(tries, 1) {
        0 => None,
        n if n > 5 && tries < 9 => response,
        _ => client.get(url, n).await,
    }
}

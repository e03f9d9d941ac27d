// Package sample is made for the mutation tests: every construct that the operators know.
package sample

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

const limit = 10

type Inventory struct {
	mu       sync.Mutex
	items    map[string]int
	capacity int
	strict   bool
}

// Add takes never more than fits.
func (inv *Inventory) Add(item string, amount int) (bool, error) {
	if item == "" || amount <= 0 {
		return false, errors.New("wrong item")
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.Total()+amount > inv.capacity && inv.strict {
		return false, nil
	}
	inv.items[item] += amount
	return true, nil
}

func (inv *Inventory) Total() int {
	total := 0
	for _, amount := range inv.items {
		total += amount
	}
	return total
}

func binarySearch(values []int, wanted int) int {
	low, high := 0, len(values)-1
	for low <= high {
		middle := (low + high) / 2
		if values[middle] == wanted {
			return middle
		}
		if values[middle] < wanted {
			low = middle + 1
		} else {
			high = middle - 1
		}
	}
	return -1
}

func windows(values []int, size int) [][]int {
	var found [][]int
	for start := 0; start <= len(values)-size; start++ {
		found = append(found, values[start:start+size])
	}
	return found
}

func firstEven(values []int, fallback int) int {
	var found int = 0
	for i := 0; i < len(values); i++ {
		if values[i]%2 != 0 {
			continue
		}
		if values[i] < 0 || values[i] > limit {
			break
		}
		found = values[i]
	}
	if found == 0 {
		return fallback
	}
	return found
}

func parse(line string, separator string) (map[string]string, error) {
	fields := strings.Split(line, separator)
	record := map[string]string{"kind": fields[0]}
	if record["kind"] == "number" && len(fields) > 1 {
		record["value"] = fields[1]
	}
	if !(strings.HasPrefix(line, "#") || strings.HasSuffix(line, ";")) {
		record["name"] = strings.ToLower(line[1 : len(line)-1])
	}
	return record, nil
}

func area(width, height, border float64) float64 {
	inner := (width - 2*border) * (height - 2*border)
	outer := width * height
	if outer > inner {
		return outer - inner
	}
	return 0.5
}

func copyFile(from, to string) (int, error) {
	source, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	target, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer target.Close()
	count, err := target.Write(source)
	if err != nil && count > 0 {
		fmt.Println("nothing found", count)
	}
	target.Sync()
	return count, err
}

func score(kind int, weight int) int {
	total := weight
	switch kind {
	case 1:
		total = weight*2 + 1
	case 2:
		total = -weight
	default:
		return 0
	}
	total++
	return total - (weight - 3)
}

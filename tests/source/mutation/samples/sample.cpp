// Made for the mutation tests: every construct that the operators know.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sample {

template <typename T>
class Inventory {
public:
    Inventory(int capacity, bool strict) : capacity_(capacity), strict_(strict) {}

    bool add(const T& item, int amount) {
        if (amount <= 0) {
            throw std::invalid_argument("bad amount");
        }
        if (size() + amount > capacity_ && strict_) {
            return false;
        }
        for (int i = 0; i < amount; ++i) {
            items_.push_back(item);
        }
        return true;
    }

    int size() const { return static_cast<int>(items_.size()); }

private:
    std::vector<T> items_;
    int capacity_ = 5;
    bool strict_ = true;
};

int binary_search(const std::vector<int>& values, int wanted) {
    int low = 0;
    int high = static_cast<int>(values.size()) - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        if (values[middle] == wanted) {
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

std::vector<int> windows(const std::vector<int>& values, int size) {
    std::vector<int> sums;
    int length = values.size();
    for (int start = 0; start <= length - size; start += 1) {
        int sum = 0;
        for (int offset = 0; offset < size; offset++) {
            sum += values[start + offset];
        }
        sums.push_back(sum);
    }
    return sums;
}

int first_even(const std::vector<int>& values, int limit, int fallback) {
    for (const auto& value : values) {
        if (value % 2 != 0) {
            continue;
        }
        if (value < 0 || value > limit) {
            break;
        }
        return value;
    }
    std::cout << "nothing found" << std::endl;
    return fallback;
}

double area(double width, double height, double border = 0.25) {
    double inner = (width - 2 * border) * (height - 2 * border);
    double outer = width * height;
    return outer > inner ? outer - inner : 0.5;
}

struct Node {
    int key;
    int value;
    Node* left;
    Node* right;
};

int lookup(const Node* root, int key, std::mutex& lock) {
    const Node* node = root;
    int steps = 0;
    lock.lock();
    while (node != nullptr && steps < 64) {
        if (node->key == key) {
            lock.unlock();
            return node->value;
        }
        node = key < node->key ? node->left : node->right;
        steps++;
    }
    lock.unlock();
    return 0;
}

void release(Node* root, std::map<std::string, int>& counts) {
    if (root == nullptr) {
        return;
    }
    release(root->left, counts);
    release(root->right, counts);
    counts["nodes"] = counts["nodes"] + 1;
    delete root;
}

bool contains(const std::map<std::string, int>& counts, const std::string& name) {
    if (auto found = counts.find(name); found != counts.end()) {
        return found->second > 0 || !(name.empty() && counts.empty());
    }
    auto longer = [&](int limit) { return name.size() > limit + 1; };
    return longer(3);
}

}  // namespace sample

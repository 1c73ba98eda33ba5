import Glibc

/// Medians and means.
enum Statistics {
    /// The middle value; of an even number of values the mean of the two in the middle. nil without values.
    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// nil when there is no value, or one that is not above zero: then there is no such mean.
    static func geometricMean(_ values: [Double?]) -> Double? {
        guard !values.isEmpty else { return nil }
        var sum = 0.0
        for value in values {
            guard let value, value > 0 else { return nil }
            sum += log(value)
        }
        return exp(sum / Double(values.count))
    }
}

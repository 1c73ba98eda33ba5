public import Limits

/// The arguments that carry `SKIP_CAPACITY` into the build of a container image.
public enum ContainerArguments {
    /// Which program builds.
    public enum Builder: Sendable {
        /// `docker build`, and `podman build`, which takes the same.
        case docker
        /// `docker buildx bake`, for all targets.
        case bake
    }

    /// The arguments, one word each; none when the value is nil or empty, so that "not set" stays that.
    /// - Throws: when the value is no capacity of the strict grammar. It holds digits and a letter only, then, and needs no quotes.
    public static func words(_ value: String?, for builder: Builder) throws(CapacityError) -> [String] {
        guard let value, !value.isEmpty else { return [] }
        _ = try Capacity.parse(value, source: .environment)
        return switch builder {
        case .docker: ["--build-arg", "SKIP_CAPACITY=\(value)"]
        case .bake: ["--set", "*.args.SKIP_CAPACITY=\(value)"]
        }
    }
}

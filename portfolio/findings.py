"""What a check of the books finds: two numbers that should be one."""

from collections import defaultdict
from dataclasses import dataclass, field

from portfolio.models import Portfolio


@dataclass(frozen=True, slots=True)
class Difference:
    """Two numbers that should be one: which identity, where, what each side says."""

    identity: str
    where: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.identity}: {self.where}: {self.left} is not {self.right}"


@dataclass(slots=True)
class Findings:
    """What a check looked at and what it found; the books are clean when `differences` is empty."""

    portfolios: int = 0
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    differences: list[Difference] = field(default_factory=list)

    def compare(self, identity: str, where: str, left: object, right: object) -> None:
        self.compared[identity] += 1
        if left != right:
            self.differences.append(Difference(identity, where, str(left), str(right)))

    def add(self, other: "Findings") -> None:
        """Take in what another check of the same portfolios found."""
        for identity, count in other.compared.items():
            self.compared[identity] += count
        self.differences += other.differences


def place(portfolio: Portfolio) -> str:
    return f"portfolio {portfolio.pk} ({portfolio.name})"

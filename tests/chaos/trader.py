"""A person at a browser who trades while the desk falls over, and presses again until there is an answer."""

import html
import random
import re
import threading
import time
import uuid
from dataclasses import dataclass, field

import requests

SYMBOLS = ("SPY", "QQQ", "GLD", "AAPL", "MSFT", "BIL")
TIMEOUT_SECONDS = 12
PRESS_AGAIN_SECONDS = 0.25
GIVE_UP_SECONDS = 120
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
HIDDEN = re.compile(r'<input type="hidden" name="(key|version)" value="([^"]*)"')
QUANTITY = re.compile(r'<input type="text" name="quantity" value="([^"]*)"')
CLOSE_LINK = re.compile(r"/trades/(\d+)/close/")
CANCEL_LINK = re.compile(r"/orders/(\d+)/cancel/")


class Unanswered(Exception):
    """The desk gave no answer within two minutes, however often it was asked."""


@dataclass
class Acts:
    """What was asked of the desk, and the status of the answer that came in the end."""

    tickets: dict[str, int] = field(default_factory=dict)
    closes: dict[str, int] = field(default_factory=dict)
    cancels: dict[int, int] = field(default_factory=dict)
    requests: int = 0
    pressed_again: int = 0
    unexpected: list[str] = field(default_factory=list)


class Trader:
    """One browser of one user. Every act has its own key and is posted again, unchanged, until answered."""

    def __init__(self, *, base: str, email: str, password: str, portfolio_id: int, seed: int) -> None:
        self.base, self.email, self.password, self.portfolio_id = base, email, password, portfolio_id
        self.random = random.Random(seed)
        self.acts = Acts()
        self.in_flight = threading.Event()
        self.session = requests.Session()
        self.session.trust_env = False

    def sign_in(self) -> None:
        page = self.open("/accounts/login/")
        body = {"username": self.email, "password": self.password, "csrfmiddlewaretoken": token(page)}
        answer = self.session.post(f"{self.base}/accounts/login/", body, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        assert answer.status_code == 302, answer.text[:500]

    def trade(self, until: threading.Event) -> None:
        """Act after act until told to stop; a desk that stays silent is noted and ends it."""
        try:
            while not until.is_set():
                self.one_act()
                time.sleep(self.random.uniform(0.0, 0.15))
        except Exception as error:
            self.acts.unexpected.append(f"{type(error).__name__}: {error}")

    def one_act(self) -> None:
        luck = self.random.random()
        if luck < 0.60:
            self.send_ticket(side="BUY" if luck < 0.45 else "SELL", order_type="MARKET")
        elif luck < 0.75:
            self.send_ticket(side="BUY", order_type="LIMIT", limit_price="1.00", time_in_force="GTC")
        elif luck < 0.87:
            self.close_a_trade()
        else:
            self.cancel_an_order()

    def send_ticket(self, **wish: str) -> None:
        """Open a ticket, fill it in, and send it."""
        key = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        address = f"/portfolios/{self.portfolio_id}/orders/new/?key={key}"
        page = self.open(address)
        body = {
            "symbol": self.random.choice(SYMBOLS),
            "quantity": str(self.random.randint(1, 4)),
            "time_in_force": "DAY",
            "csrfmiddlewaretoken": token(page),
            **wish,
        }
        self.acts.tickets[key] = self.press(address, body, answered=(302, 422))

    def close_a_trade(self) -> None:
        """Press Close on an open trade and confirm the dialog, half of it at times."""
        page = self.open(f"/portfolios/{self.portfolio_id}/positions/")
        found = sorted(set(CLOSE_LINK.findall(page)))
        if not found:
            return
        address = f"/trades/{self.random.choice(found)}/close/"
        dialog = self.open(address)
        hidden, quantity = dict(HIDDEN.findall(dialog)), QUANTITY.search(dialog)
        if "key" not in hidden or quantity is None:
            return  # it was closed, or is being closed, since the list was shown
        wanted = quantity[1]
        if wanted.isdigit() and int(wanted) > 1 and self.random.random() < 0.3:
            wanted = str(int(wanted) // 2)
        body = {**hidden, "quantity": wanted, "csrfmiddlewaretoken": token(dialog)}
        self.acts.closes[hidden["key"]] = self.press(address, body, answered=(302, 409, 422))

    def cancel_an_order(self) -> None:
        page = self.open(f"/portfolios/{self.portfolio_id}/orders/?status=working")
        found = sorted(set(CANCEL_LINK.findall(page)))
        if found:
            order = int(self.random.choice(found))
            body = {"csrfmiddlewaretoken": token(page)}
            self.acts.cancels[order] = self.press(f"/orders/{order}/cancel/", body, answered=(302,))

    def open(self, address: str) -> str:
        """Load a page, again and again while the desk is away."""
        answer = self.until_answered("GET", address, None, answered=(200,))
        return answer.text

    def press(self, address: str, body: dict[str, str], *, answered: tuple[int, ...]) -> int:
        self.in_flight.set()
        try:
            return self.until_answered("POST", address, body, answered=answered).status_code
        finally:
            self.in_flight.clear()

    def until_answered(
        self, method: str, address: str, body: dict[str, str] | None, *, answered: tuple[int, ...]
    ) -> requests.Response:
        """Ask until one of the expected answers comes; a server error is a reason to press again."""
        deadline, last = time.monotonic() + GIVE_UP_SECONDS, ""
        while time.monotonic() < deadline:
            self.acts.requests += 1
            try:
                answer = self.session.request(
                    method, self.base + address, data=body, timeout=TIMEOUT_SECONDS, allow_redirects=False
                )
            except requests.RequestException as error:
                last = type(error).__name__
            else:
                if answer.status_code in answered:
                    self.acts.pressed_again += bool(last and body)
                    return answer
                last = f"{answer.status_code}: {answer.text[:300]}"
                if answer.status_code < 500:
                    self.acts.unexpected.append(f"{method} {address} was answered {last}")
            time.sleep(PRESS_AGAIN_SECONDS)
        raise Unanswered(f"{method} {address}: {last}")


def token(page: str) -> str:
    found = TOKEN.search(page)
    assert found is not None, page[:500]
    return html.unescape(found[1])

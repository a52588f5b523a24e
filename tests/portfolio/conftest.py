from tests.trading_fixtures import desk, intent, listed, other_desk, place

__all__ = ["desk", "intent", "listed", "other_desk", "place"]

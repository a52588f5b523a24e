"""Addresses of the trading pages."""

from django.urls import path

from portfolio.pages import home, orders, positions, replay, ticket, trading_state

app_name = "portfolio"
urlpatterns = [
    path("", home.home, name="home"),
    path("clock/", home.market_clock, name="clock"),
    path("settings/display/", home.display, name="display"),
    path("replay/", replay.replay, name="replay"),
    path("stop/", trading_state.stop, name="stop"),
    path("portfolios/new/", home.new_portfolio, name="new"),
    path("portfolios/<int:portfolio_id>/state/", trading_state.change, name="state"),
    path("portfolios/<int:portfolio_id>/positions/", positions.positions, name="positions"),
    path("portfolios/<int:portfolio_id>/orders/", orders.listing, name="orders"),
    path("portfolios/<int:portfolio_id>/orders/new/", ticket.ticket, name="ticket"),
    path("portfolios/<int:portfolio_id>/orders/new/quote/", ticket.quote, name="quote"),
    path("portfolios/<int:portfolio_id>/orders/new/estimate/", ticket.estimate, name="estimate"),
    path("portfolios/<int:portfolio_id>/orders/new/review/", ticket.review, name="review"),
    path("trades/<int:trade_id>/close/", positions.close, name="close"),
    path("orders/<int:order_id>/", orders.order, name="order"),
    path("orders/<int:order_id>/cancel/", orders.cancel, name="cancel"),
]

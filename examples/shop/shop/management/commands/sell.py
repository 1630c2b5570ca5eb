"""``manage.py sell``: a shop that is open, so that there is a writer to try things beside."""

from __future__ import annotations

import datetime as dt
import random
import time
from argparse import ArgumentParser
from decimal import Decimal
from itertools import count
from typing import Any

from django.core.management.base import BaseCommand

from shop.models import Sale, Shop, Visit

FIRST_DAY = dt.date(2026, 1, 1)
DAYS = 180
PAUSE = 0.005  # seconds between two who come
REGRET = 0.1  # of those who come, this share gives something back


class Command(BaseCommand):
    """Let people come in, sell to them, and take some of it back."""

    help = "Write visits and sales, one after the other, until stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--times", type=int, help="Serve so many without a pause, then stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sell until told to stop."""
        shops = [Shop.objects.get_or_create(name=name)[0] for name in ("Harbour", "Station")]
        for number in count(1):
            self.serve(random.choice(shops))
            if number == options["times"]:
                break
            if options["times"] is None:
                self.pause(number)
        self.stdout.write(f"{Sale.objects.count()} sales, {Visit.objects.count()} visits")

    def pause(self, number: int) -> None:
        """Wait for the next one to come in; say so after the first."""
        if number == 1:
            self.stdout.write("The shop is open.")
            self.stdout.flush()
        time.sleep(PAUSE)

    def serve(self, shop: Shop) -> None:
        """Let somebody in, who buys, and perhaps gives something back that was bought before."""
        day = FIRST_DAY + dt.timedelta(days=random.randrange(DAYS))
        Visit.objects.create(shop=shop, came_on=day)
        channel = random.choice(Sale.Channel.values)
        Sale.objects.create(shop=shop, channel=channel, price=Decimal(random.randrange(100, 9_999)) / 100, sold_on=day)
        if random.random() < REGRET and (sale := shop.sales.filter(taken_back=False).order_by("?").first()):
            sale.taken_back = True
            sale.save()

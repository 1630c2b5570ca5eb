from aggregates.operations import LeaveRoom
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('expenses', '0002_totals_indexes'),
    ]

    operations = [
        LeaveRoom('ExpenseTotals'),
    ]
